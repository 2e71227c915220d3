"""The short form of `make faults`."""

import os

import pytest

from tests.faults import storm

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_after_a_storm_of_faults_nothing_is_lost_stale_or_doubled() -> None:
    report = storm.run(edits=2_000, faults=40, seed=int(os.environ.get("FAULTS_SEED", "20261122")))
    print(report.lines())
    assert report.edits >= 2_000
    assert report.faults.total() >= 40
    assert (report.lost, report.stale, report.doubled) == (0, 0, 0), report.lines()
    assert report.rights > 100
