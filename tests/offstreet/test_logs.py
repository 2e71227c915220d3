"""No whole plate and no secret reaches a log."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from offstreet.logs import mask_personal_data, mask_plate
from tests.production_logs import production_logs


@pytest.mark.parametrize(
    ("plate", "masked"),
    [("ABC1234", "A•••••4"), ("A12", "A•2"), ("A1", "••"), ("A", "•"), ("", "")],
)
def test_a_plate_keeps_at_most_its_first_and_last_character(plate: str, masked: str) -> None:
    assert mask_plate(plate) == masked


@given(st.text(min_size=1, max_size=20))
def test_no_plate_comes_through_whole(plate: str) -> None:
    assert mask_plate(plate) != plate or set(plate) == {"•"}
    assert len(mask_plate(plate)) == len(plate)


def test_plates_and_secrets_are_masked_however_deep_they_lie() -> None:
    event = mask_personal_data(
        None,
        "info",
        {
            "event": "sent",
            "plate": "ABC1234",
            "plates": ["ABC1234", "XY9"],
            "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": "US-NC"},
            "request": {"headers": {"authorization": "Bearer abc"}},
            "password": "hunter2",
        },
    )
    assert event == {
        "event": "sent",
        "plate": "A•••••4",
        "plates": ["A•••••4", "X•9"],
        "vehicle": {"vehicle_plate": "A•••••4", "vehicle_state": "US-NC"},
        "request": {"headers": {"authorization": "•••"}},
        "password": "•••",
    }


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged while the test runs, set up as in production."""
    with production_logs("INFO") as stream:
        yield stream


def test_production_writes_one_json_object_a_line_for_every_logger(written: io.StringIO) -> None:
    structlog.stdlib.get_logger("ours").info("permit_saved", plate="ABC1234")
    logging.getLogger("theirs").warning("plain words with %s", "arguments")
    ours, theirs = (json.loads(line) for line in written.getvalue().splitlines())
    assert (ours["event"], ours["plate"], ours["level"], ours["logger"]) == (
        "permit_saved",
        "A•••••4",
        "info",
        "ours",
    )
    assert theirs["event"] == "plain words with arguments"
    assert ours["timestamp"].endswith("Z")


def test_a_traceback_stays_on_the_line_of_its_event(written: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.stdlib.get_logger("ours").exception("failed")
    (line,) = written.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["exception"]
