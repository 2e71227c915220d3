"""Lets whoever runs a worker see that it hears: the worker's event loop touches a file every few seconds.

The file (`WORKER_HEARTBEAT_FILE`; nothing is written when it is empty) appears once the worker consumes from the
broker, so its presence means *ready*, and its age means *listening*. It goes stale while the broker is away: the
worker's sweeper still delivers then, but wake-ups don't arrive.
"""

from pathlib import Path
from typing import Any

from celery import bootsteps

INTERVAL_S = 2.0


class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker's consumer: touches the file from the loop that also reads the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        path = consumer.app.conf.worker_heartbeat_file
        self.path = Path(path) if path else None
        self.enabled = self.path is not None
        self.timer: Any = None

    def start(self, consumer: Any) -> None:
        """Begin to touch the file; called each time the worker has connected to the broker."""
        self.touch()
        self.timer = consumer.timer.call_repeatedly(INTERVAL_S, self.touch, priority=10)

    def stop(self, consumer: Any) -> None:
        """Stop touching it; called when the connection is lost or the worker ends."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def touch(self) -> None:
        """Set the file's time to now."""
        assert self.path is not None
        self.path.touch()
