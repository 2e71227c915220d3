"""The sandbox as its own process: restarts and kills, faults on the wire, many clients, memory."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from offstreet.runtime.commands import ROOT
from tests.loaded_modules import loaded_by
from tests.passport.sandbox_partner import CREDENTIALS, UNIVERSITY, Partner
from tests.servers import Sandbox, sandbox_server

MEMORY_LIMIT_KB = 35 * 1024
TOKEN_PATH, EVENTS_PATH = "/v3/shared/access-tokens", "/v3/shared/events"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_server() as running:
        yield running


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=5, trust_env=False) as client:
        client.headers["Authorization"] = "Bearer " + new_token(client)
        yield client


def new_token(client: httpx.Client) -> str:
    token: str = client.post(TOKEN_PATH, json=CREDENTIALS).raise_for_status().json()["access_token"]
    return token


def get_zones(client: httpx.Client) -> httpx.Response:
    return client.get("/v3/shared/zones", params={"operator_id": UNIVERSITY})


def start(client: httpx.Client, *session_ids: str) -> httpx.Response:
    """Start sessions that are running now and end far in the future."""
    partner = Partner()
    events = [partner.event(session_id=each, end_time="2099-01-01T00:00:00Z") for each in session_ids]
    envelope = {"type": "parking_session_started", "version": "3.0.0", "data": events}
    return client.post(EVENTS_PATH, json=envelope)


def references(sandbox: Sandbox) -> set[str]:
    return {right["reference_id"] for right in sandbox.rights()}


@pytest.mark.parametrize("hard", [False, True], ids=["asked to end", "killed"])
def test_what_was_accepted_survives_a_restart(sandbox: Sandbox, http: httpx.Client, hard: bool) -> None:
    sandbox.call("PATCH", f"operators/{UNIVERSITY}", {"name": "Renamed"})
    for number in range(20):
        assert start(http, f"s-{number}").status_code == 202
    sandbox.restart(hard=hard)
    assert references(sandbox) == {f"s-{number}" for number in range(20)}
    assert get_zones(http).status_code == 200, "the token is still good"
    assert sandbox.state()["operators"][0]["name"] == "Renamed"


def test_nothing_that_was_promised_is_lost_by_a_kill_in_full_flight(
    sandbox: Sandbox, http: httpx.Client
) -> None:
    promised: set[str] = set()

    def send() -> None:
        for number in range(100_000):
            ids = [f"s-{number}-{k}" for k in range(10)]
            try:
                response = start(http, *ids)
            except httpx.TransportError:
                return
            assert response.status_code == 202
            promised.update(ids)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.7)
    sandbox.kill()
    sender.join(timeout=10)
    assert promised
    sandbox.start()
    assert promised <= references(sandbox)


def test_it_ends_at_once_also_with_clients_waiting(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.add_fault("delay", delay_s=60)

    def wait() -> None:
        with pytest.raises(httpx.TransportError):
            http.get("/v3/shared/zones", params={"operator_id": UNIVERSITY}, timeout=30)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    assert sandbox.process is not None
    asked = time.monotonic()
    sandbox.process.send_signal(signal.SIGTERM)
    assert sandbox.process.wait(timeout=5) == 0
    assert time.monotonic() - asked < 2
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert "Traceback" not in sandbox.log()


def test_a_dropped_connection_has_done_nothing_and_a_lost_answer_has(
    sandbox: Sandbox, http: httpx.Client
) -> None:
    for kind, session_id in (("drop", "dropped"), ("answer_lost", "lost")):
        sandbox.add_fault(kind, times=1, path="events")
        with pytest.raises(httpx.TransportError):
            start(http, session_id)
    assert references(sandbox) == {"lost"}
    assert start(http, "dropped").status_code == 202


def test_an_endless_body_trickles_until_the_client_leaves(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.add_fault("endless_body", times=1, delay_s=0.01)
    got = 0
    with http.stream("GET", "/v3/shared/zones", params={"operator_id": UNIVERSITY}) as response:
        for piece in response.iter_raw():
            got += len(piece)
            if got > 50:
                break
    assert get_zones(http).status_code == 200
    assert sandbox.log().count("\n") == 1, "nothing but the line that says it is ready"


def test_a_truncated_answer_and_a_huge_one_are_what_they_say(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.add_fault("truncated", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        get_zones(http)
    sandbox.add_fault("huge_body", times=1)
    assert len(get_zones(http).content) == 10_000_000
    assert get_zones(http).status_code == 200


def test_a_delayed_answer_holds_up_no_one_else(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.add_fault("delay", delay_s=3, times=1)
    with httpx.Client(base_url=sandbox.url, headers=http.headers, trust_env=False) as other:
        slow = threading.Thread(target=get_zones, args=(http,))
        slow.start()
        time.sleep(0.3)
        begun = time.monotonic()
        assert get_zones(other).status_code == 200
        assert time.monotonic() - begun < 1.5
        assert slow.is_alive()
        slow.join()


def test_a_request_that_timed_out_is_still_processed_late(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.add_fault("delay", delay_s=1, before=True, times=1)
    with pytest.raises(httpx.ReadTimeout):
        http.post(
            EVENTS_PATH,
            json={
                "type": "parking_session_started",
                "version": "3.0.0",
                "data": [Partner().event(session_id="late")],
            },
            timeout=0.3,
        )
    assert sandbox.sessions() == []
    time.sleep(1.2)
    assert [session["session_id"] for session in sandbox.sessions()] == ["late"]


def test_hundreds_of_connections_are_served(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
    try:
        for each in sockets:
            each.sendall(b"GET /sandbox/health HTTP/1.1\r\nHost: h\r\n\r\n")
        for each in sockets:
            each.settimeout(10)
            assert each.recv(4096).startswith(b"HTTP/1.1 200 OK")
        assert sandbox.state()["connections_peak"] >= 300
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_refused_and_does_no_harm(
    sandbox: Sandbox, http: httpx.Client, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(sent)
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert get_zones(http).status_code == 200
    assert "Traceback" not in sandbox.log()


def test_a_client_that_leaves_within_its_request_leaves_no_trace(
    sandbox: Sandbox, http: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"POST /v3/shared/events HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
    assert get_zones(http).status_code == 200
    assert sandbox.log().count("\n") == 1, "nothing but the line that says it is ready"


def test_answers_keep_the_order_of_their_requests(sandbox: Sandbox) -> None:
    sandbox.add_fault("delay", delay_s=0.3, path="zones", times=1)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"GET /v3/shared/zones HTTP/1.1\r\nHost: h\r\n\r\n")
        client.sendall(b"GET /sandbox/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as answers:
            got = answers.read()
    assert got.index(b"HTTP/1.1 401 ") < got.index(b"HTTP/1.1 200 ")


def test_a_body_with_a_status_that_allows_none_is_sent_all_the_same(
    sandbox: Sandbox, http: httpx.Client
) -> None:
    sandbox.add_fault("html", status=204, times=1)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"GET /v3/shared/zones HTTP/1.1\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as answer:
            assert b"<h1>No Content</h1>" in answer.read()
    assert "Traceback" not in sandbox.log()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_it_stays_small(sandbox: Sandbox, http: httpx.Client) -> None:
    for batch in range(20):
        assert start(http, *(f"s-{batch}-{k}" for k in range(100))).status_code == 202
    status = Path(f"/proc/{sandbox.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    assert int(line.split()[1]) < MEMORY_LIMIT_KB


def test_it_imports_neither_django_nor_httpx() -> None:
    loaded = loaded_by("passport.sandbox.__main__")
    assert "passport" in loaded
    assert not loaded & {"django", "httpx", "celery", "offstreet"}


def run_sandbox(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "passport.sandbox", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    return subprocess.run(
        command, cwd=ROOT, env={**clean, **env}, capture_output=True, text=True, timeout=20, check=False
    )


def test_it_says_in_a_sentence_why_it_cannot_start(sandbox: Sandbox, tmp_path: Path) -> None:
    port = sandbox.url.rpartition(":")[2]
    broken = tmp_path / "zones.json"
    broken.write_text('{"operators": 7}')
    cases: list[tuple[list[str], dict[str, str], str]] = [
        (["--port", port], {}, "Can't listen"),
        (["--port", "0", "--zones", str(broken)], {}, "could not start"),
        (["--port", "0"], {"SANDBOX_ZONES": str(tmp_path / "none.json")}, "could not start"),
        (["--port", "0", "--state", "/proc/nothing/here"], {}, "can't be used"),
    ]
    for arguments, env, reason in cases:
        done: Any = run_sandbox(*arguments, **env)
        assert done.returncode == 2, arguments
        assert reason in done.stderr
        assert "Traceback" not in done.stderr
