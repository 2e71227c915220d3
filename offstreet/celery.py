"""The Celery application.

Celery only wakes the delivery engine and runs zone refreshes; what is to be done is stored in the database. So a lost
message costs seconds, never a record, and nothing here uses retries, ETAs or a result backend.

Publishing and consuming have opposite needs of a socket. Who publishes must not hang because the broker does: tenths
of a second, then the sweeper takes over. Who consumes must sit out a broker that stalls for a moment, waits for
messages in its event loop instead of in a socket's time-out, and comes back within seconds of the broker.
"""

import os
import warnings
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.exceptions import CPendingDeprecationWarning
from kombu.connection import Connection

RECONNECT_FIRST_S = 0.5
RECONNECT_STEP_S = 0.5
RECONNECT_MAX_S = 3.0

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
# Said at each lost connection, of an option that only concerns pools whose tasks can be cancelled.
warnings.filterwarnings(
    "ignore", category=CPendingDeprecationWarning, message=r"\s*In Celery 5\.1 we introduced"
)


class QuickConnection(Connection):
    """A connection that tries again every few seconds; kombu's own pause grows to half a minute."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Connection:
        """Connect, trying for as long as `max_retries` allows."""
        pauses = {
            "interval_start": RECONNECT_FIRST_S,
            "interval_step": RECONNECT_STEP_S,
            "interval_max": RECONNECT_MAX_S,
        }
        connection: Connection = super().ensure_connection(*args, **pauses | kwargs)  # type: ignore[no-untyped-call]
        return connection


class Messaging(AMQP):  # type: ignore[misc]
    """Celery's messaging with our connections."""

    Connection = QuickConnection


class Application(Celery):  # type: ignore[misc]
    """Celery with other socket time-outs for consuming than for publishing."""

    amqp_cls = Messaging

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Connection:
        """Return the connection that the worker consumes from."""
        kwargs["transport_options"] = {
            **self.conf.broker_consumer_transport_options,
            **(kwargs.get("transport_options") or {}),
        }
        connection: Connection = super().connection_for_read(url, **kwargs)
        return connection


app = Application("offstreet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["integrations.worker"])
# By name, since it needs Django to be set up, and is loaded in workers alone.
app.steps["worker"].add("integrations.worker.service:DeliveryStep")
