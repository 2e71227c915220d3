"""The product starts on both back ends, and recovers from faults underneath it without a restart."""

import httpx
import pytest

from tests.servers import BACKENDS, Stack, eventually, running_stack


def test_the_web_answers_and_the_worker_replies_on_both_back_ends(stack: Stack) -> None:
    with stack.browse() as client:
        assert client.get("/healthz").text == "ok\n"
        page = client.get("/accounts/login/")
        assert page.status_code == 200
        assert "csrfmiddlewaretoken" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert eventually(stack.ping, what="a worker's reply") == 1
    assert stack.sandbox.state()["operators"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_hears_again_after_its_broker_was_frozen_stopped_or_killed(backend: str) -> None:
    with running_stack(backend, web=False) as stack:
        assert eventually(stack.ping, what="a first reply") == 1
        pid = stack.worker.pid

        stack.broker.freeze()
        with pytest.raises(AssertionError):
            eventually(lambda: processes_hear(stack), timeout_s=7, what="a reply of a frozen broker")
        stack.broker.thaw()
        assert eventually(stack.ping, what="a reply after the freeze") == 1

        stack.broker.restart()
        assert eventually(stack.ping, what="a reply after a restart") == 1

        stack.broker.restart(hard=True)
        assert eventually(stack.ping, what="a reply after a kill") == 1
        assert stack.worker.alive
        assert stack.worker.pid == pid


def test_healthz_says_unavailable_without_the_database_and_recovers_with_it() -> None:
    with running_stack("postgres+redis", workers=0, sandbox=False) as stack, stack.browse() as client:
        assert stack.database is not None
        stack.database.stop()
        answer = client.get("/healthz")
        assert (answer.status_code, answer.text) == (503, "unavailable\n")
        stack.database.start()
        assert eventually(lambda: health(client) == 200, what="the health check to recover")


def processes_hear(stack: Stack) -> bool:
    """Whether the broker itself answers."""
    return stack.broker.ready()


def health(client: httpx.Client) -> int:
    """The status of the health check, 0 for no answer at all."""
    try:
        return client.get("/healthz").status_code
    except httpx.HTTPError:
        return 0
