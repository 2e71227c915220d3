"""The one place where an alarm is announced: when it is raised, and when it is over.

Called in the transaction that opens or closes its row, so each is announced once. Today that means emails to those who want
alarms (`integrations.notifications.preferences`); whatever else is to hear of alarms belongs here.

A stop is told by whoever notices it (`integrations.delivery.host_failures`), at once: that of a connection to its company,
that of a host to support. Only the rest is told here: its end, and what a host's stop means for a company. When a vendor's
host is in trouble support gets one email about the host, and the companies' people one about their own integration, without
support standing in for those who get none: it knows already.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.alarms.health import LinkHealth, Trouble
from integrations.alarms.words import remedy_of, trouble_sentence, waiting_sentence
from integrations.models import Alarm, Connection, Topic
from integrations.notifications import email_queue
from integrations.permits.counts import Counted
from integrations.vendors.naming import names_of
from locations.models import Company
from locations.pages import company_clock
from locations.times import duration_text, say_time, say_utc


def raised(alarm: Alarm, trouble: Trouble, health: LinkHealth | None, now: datetime) -> None:
    """Tell that something has been wrong for too long; `health` is that of the alarm's connection."""
    if trouble.cause == Alarm.Cause.STOPPED and (alarm.connection is None or not trouble.of_host):
        return
    names = names_of(_vendor(alarm))
    said = [_about(alarm, trouble_sentence(trouble, names, now))]
    if health is not None:
        said.append(waiting_sentence(health.counts, hidden=Counted(health.counts.not_visible)))
    said += [_since(alarm), remedy_of(trouble, names), _("You will get another email when it is over.")]
    _mail("alarm", alarm, "raised", " ".join(said), host_is_told=trouble.of_host)


def over(alarm: Alarm, status: str, now: datetime) -> None:
    """Tell that an alarm is over; `status` is the connection's status now."""
    names = names_of(_vendor(alarm))
    words = {**names.words, "span": duration_text(now - alarm.since, 2)}
    if alarm.connection is not None and status != Connection.Status.LIVE:
        text = _(
            "the integration is no longer live, so nothing is expected to be sent. The problem had "
            "lasted %(span)s."
        )
    elif alarm.cause == Alarm.Cause.BACKLOG:
        text = _("no change is late any more. It lasted %(span)s.")
    elif alarm.cause == Alarm.Cause.WORKERS:
        text = _("a worker is running again, and no change is late. It lasted %(span)s.")
    else:
        text = _("%(vendor)s accepts changes again, and none is late. It lasted %(span)s.")
    _mail("alarm_over", alarm, "over", f"{_about(alarm, text % words)} {_since(alarm)}")


def _vendor(alarm: Alarm) -> str:
    return alarm.vendor or (alarm.connection.vendor if alarm.connection else "")


def _about(alarm: Alarm, sentence: str) -> str:
    """Name the integration first where the company may have several, and say that a host's alarm is everybody's."""
    if alarm.connection is not None:
        return f"{alarm.connection.label}: {sentence}" if alarm.connection.label else sentence
    return _("All companies on %(vendor)s: %(sentence)s") % {
        **names_of(_vendor(alarm)).words,
        "sentence": sentence,
    }


def _since(alarm: Alarm) -> str:
    if alarm.connection is None:
        return _("Since %(time)s.") % {"time": say_utc(alarm.since)}
    tz = ZoneInfo(company_clock(alarm.connection.company))
    return _("Since %(time)s.") % {"time": say_time(alarm.since, tz)}


def _mail(kind: str, alarm: Alarm, what: str, text: str, *, host_is_told: bool = False) -> None:
    company: Company | None = alarm.connection.company if alarm.connection else None
    to = email_queue.people_of(company, Topic.ALARMS)
    if not to and not host_is_told:
        to = email_queue.people_of(None, Topic.ALARMS)
    email_queue.queue(
        kind=kind,
        to=to,
        context={
            "text": text,
            "path": reverse("overview", args=[company.slug]) if company else reverse("companies"),
        },
        company=company,
        dedupe_key=f"alarm_{what}:{alarm.pk}",
        asked_by=None,
    )
