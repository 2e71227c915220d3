"""Celery is configured as the design says: it only wakes workers, and never retries, waits, stores results or hangs."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from celery.backends.base import DisabledBackend
from kombu.message import Message

from integrations.delivery import wakeup
from integrations.worker import tasks
from offstreet import settings as product
from offstreet.celery import app

ROOT = Path(__file__).resolve().parents[3]
OURS = [task for name, task in app.tasks.items() if not name.startswith("celery.")]


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """All calls of a method of this name in the product."""
    for package in ("integrations", "passport", "locations", "offstreet"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == name
                ):
                    yield path, node


def test_the_tasks_are_known() -> None:
    assert {task.name for task in OURS} >= {"integrations.wake", "integrations.refresh_zones"}


@pytest.mark.parametrize("task", OURS, ids=lambda task: task.name)
def test_each_task_is_acknowledged_late_and_leaves_no_result(task: Any) -> None:
    assert task.acks_late
    assert task.reject_on_worker_lost
    assert task.ignore_result


@pytest.mark.parametrize("task", OURS, ids=lambda task: task.name)
def test_no_task_is_retried_by_celery(task: Any) -> None:
    assert not getattr(task, "autoretry_for", ())
    ours = Path(tasks.__file__)
    assert not [path for path, _call in calls("retry") if path == ours]


def test_there_is_no_result_backend() -> None:
    assert app.conf.result_backend is None
    assert isinstance(app.backend, DisabledBackend)


def test_nothing_but_json_is_read_from_the_broker() -> None:
    assert set(app.conf.accept_content) == set(app.conf.result_accept_content) == {"json"}
    for option in ("task_serializer", "result_serializer", "event_serializer"):
        assert app.conf[option] == "json", option


@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [
        ("application/x-python-serialize", "binary", b"cos\nmkdir\n(S'/nowhere/at/all'\ntR."),
        ("application/json", "utf-8", b"{"),
        ("application/json", "utf-8", b"\xff"),
        ("application/json", "utf-8", b"5"),
        ("application/json", "utf-8", b'[[["x"]], {}, {}]'),
    ],
)
def test_a_forged_hint_is_acknowledged_and_does_nothing(
    content_type: str, encoding: str, body: bytes
) -> None:
    kind = {"content_type": content_type, "content_encoding": encoding, "accept": {"application/json"}}
    message = Message(body=body, **kind)  # type: ignore[no-untyped-call]
    acknowledged = mock.Mock()
    take = tasks.wake_at_once(None, None, mock.Mock())
    with mock.patch("integrations.worker.tasks.service.engine") as engine, mock.patch("os.mkdir") as payload:
        take(message, body, acknowledged, mock.Mock(), [])
    acknowledged.assert_called_once()
    engine.return_value.wake.assert_not_called()
    payload.assert_not_called()


def test_nothing_is_sent_for_a_later_time() -> None:
    sent = list(calls("send_task"))
    assert sent
    for path, call in sent:
        assert not {"eta", "countdown"} & {keyword.arg for keyword in call.keywords}, path


def test_a_hint_is_taken_whatever_the_clocks_say() -> None:
    with mock.patch.object(app, "send_task") as sent:
        wakeup.publish([1])
    assert not {"expires", "eta", "countdown", "retry"} & sent.call_args.kwargs.keys()


def test_publishing_waits_for_tenths_of_a_second_and_tries_once_more() -> None:
    options = product.CELERY_BROKER_TRANSPORT_OPTIONS
    assert 0 < options["socket_connect_timeout"] <= 0.3
    assert 0 < options["socket_timeout"] <= 0.3
    policy = app.conf.task_publish_retry_policy
    assert app.conf.task_publish_retry
    assert policy["max_retries"] == 1
    assert policy["interval_start"] + policy["interval_max"] <= 0.3


def test_a_worker_that_lost_its_broker_never_gives_up() -> None:
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.broker_connection_retry_on_startup
