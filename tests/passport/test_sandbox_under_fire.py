"""Nothing that a client sends crashes the sandbox. No sockets."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passport.sandbox.api import EVENTS_PATH
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_partner import Partner

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_EVENT = Partner().event()
_SPOILED = st.sampled_from(sorted(_EVENT)).flatmap(
    lambda name: _JSON.map(lambda value: {**_EVENT, name: value})
)
_PARTNER = Partner(Simulator()).log_in()


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["parking_session_started", "parking_session_extended", "parking_session_stopped"]),
    events=st.lists(_SPOILED | _JSON, min_size=1, max_size=3),
)
def test_any_events_are_answered_and_a_refusal_changes_nothing(kind: str, events: list[Any]) -> None:
    before = len(_PARTNER.simulator.sessions)
    envelope = {"type": kind, "version": "3.0.0", "data": events}
    response = _PARTNER.call("POST", EVENTS_PATH, document=envelope)
    assert response.status in (202, 400, 404, 409)
    if response.status != 202:
        assert json.loads(response.body)["type"].startswith("io.passportlabs:error:")
        assert len(_PARTNER.simulator.sessions) == before


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(
        [
            "faults",
            "settings",
            "operators",
            "rights",
            "clock",
            "sessions",
            "sessions/x",
            "faults/1",
            "requests",
            "é",
        ]
    ),
    document=_JSON,
)
def test_any_control_request_is_answered(method: str, path: str, document: Any) -> None:
    response = Partner(_PARTNER.simulator).call(method, f"/sandbox/{path}", "limit=3", document)
    assert response.status in (200, 201, 400, 404)


@settings(max_examples=200, deadline=None)
@given(path=st.sampled_from(["/", "/faults"]), body=st.binary(max_size=100))
def test_any_form_is_answered(path: str, body: bytes) -> None:
    assert _PARTNER.call("POST", path, body=body).status in (200, 303, 400)
