"""Look-ups that people ask for: claimed under a lease, done once at a time for a company, and forgotten after an hour."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from integrations.models import CheckRun
from integrations.reconciliation import check_runs
from integrations.reconciliation.check_runs import (
    AT_ONCE,
    GIVE_UP_AFTER,
    KEPT_FOR,
    LEASE,
    ask,
    claim,
    perform,
    tidy,
)
from locations.models import Company, User
from tests.factories import CompanyFactory, UserFactory

pytestmark = pytest.mark.django_db
KIND = CheckRun.Kind.DIAGNOSTICS


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def company() -> Company:
    made: Company = CompanyFactory()
    return made


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a look-up answers, in place of the diagnostics."""
    answers: dict[str, Any] = {"checks": []}
    monkeypatch.setitem(check_runs._work, KIND, lambda _run: answers)
    return answers


def question(company: Company, user: User | None = None, **rest: Any) -> CheckRun:
    return ask(KIND, company=company, user=user or UserFactory(), **rest)


def test_the_oldest_is_taken_first_and_by_one_worker(company: Company, now: datetime) -> None:
    first, second = question(company), question(CompanyFactory())
    taken = [claim(now), claim(now), claim(now)]
    assert [run and run.pk for run in taken] == [first.pk, second.pk, None]


def test_the_same_question_of_the_same_person_is_asked_once_while_it_is_open(
    company: Company, now: datetime
) -> None:
    kim, robin = UserFactory(), UserFactory()
    first = question(company, kim)
    assert question(company, kim).pk == first.pk
    assert question(company, robin).pk != first.pk
    assert question(company, kim, symptom="zones").pk != first.pk
    run = claim(now)
    assert run is not None
    perform(run)
    assert question(company, kim).pk != first.pk


def test_a_company_that_asks_much_waits_for_itself_alone(company: Company, now: datetime) -> None:
    for _ in range(AT_ONCE + 2):
        question(company)
    theirs = question(CompanyFactory())
    taken = [claim(now) for _ in range(AT_ONCE + 2)]
    assert [run and run.company_id for run in taken] == [company.pk] * AT_ONCE + [theirs.company_id, None]
    # A finished one makes room for the next.
    assert taken[0] is not None
    perform(taken[0])
    following = claim(now)
    assert following is not None
    assert following.company_id == company.pk


def test_one_whose_worker_died_goes_to_another_whose_answer_counts(
    company: Company, now: datetime, work: dict[str, Any]
) -> None:
    question(company)
    lost = claim(now)
    assert lost is not None
    assert claim(now + LEASE - timedelta(seconds=1)) is None
    again = claim(now + LEASE + timedelta(seconds=1))
    assert again is not None
    work["checks"] = ["of the second"]
    perform(again)
    work["checks"] = ["of the first, which was only slow"]
    perform(lost)
    row = CheckRun.objects.get()
    assert row.result == {"checks": ["of the second"]}
    assert row.finished_at is not None


def test_one_that_fails_says_so_and_is_done(
    company: Company, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_run: CheckRun) -> dict[str, Any]:
        raise KeyError("plate ABC123")

    monkeypatch.setitem(check_runs._work, KIND, fail)
    question(company)
    run = claim(now)
    assert run is not None
    perform(run)
    row = CheckRun.objects.get()
    assert row.finished_at is not None
    assert row.result == {"failed": "This could not be looked up: KeyError."}


def test_what_no_one_waits_for_any_more_is_given_up_and_what_is_old_is_deleted(
    company: Company, now: datetime
) -> None:
    late, old, fresh = question(company), question(company), question(company)
    CheckRun.objects.filter(pk=late.pk).update(requested_at=now - GIVE_UP_AFTER - timedelta(seconds=1))
    CheckRun.objects.filter(pk=old.pk).update(requested_at=now - KEPT_FOR - timedelta(seconds=1))
    tidy(now)
    assert not CheckRun.objects.filter(pk=old.pk).exists()
    late.refresh_from_db()
    fresh.refresh_from_db()
    assert late.finished_at == now
    assert "was stopped" in late.result["failed"]
    assert fresh.finished_at is None


def test_a_look_up_of_rights_names_its_permit(company: Company, now: datetime) -> None:
    with pytest.raises(IntegrityError):
        CheckRun.objects.create(company=company, kind=CheckRun.Kind.RIGHTS, requested_at=now)
