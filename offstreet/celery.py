"""The Celery application.

Celery only wakes the delivery engine and runs chores (zone pulls, e-mails); what is to be done is kept in the
database. So a lost message costs seconds, never a record, and nothing here uses retries, ETAs or a result backend.

Publishing and consuming have opposite needs of a socket. Who publishes is often a web request, which must not hang
because the broker does: tenths of a second, then the sweeper takes over. Who consumes must sit out a broker that
stalls for a moment, and waits for messages in its event loop, not in a socket's time-out.
"""

import os
from typing import Any

from celery import Celery
from kombu import Connection

from offstreet.runtime.liveness import Heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")


class Application(Celery):  # type: ignore[misc]
    """Celery with other socket time-outs for consuming than for publishing."""

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Connection:
        """Return the connection that the worker consumes from."""
        kwargs["transport_options"] = {
            **self.conf.broker_consumer_transport_options,
            **(kwargs.get("transport_options") or {}),
        }
        return super().connection_for_read(url, **kwargs)


app = Application("offstreet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(Heartbeat)
