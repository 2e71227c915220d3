"""gunicorn's settings, for the demo and for production alike (`gunicorn -c offstreet/runtime/gunicorn_conf.py`).

Threads, because requests wait on the database and hardly compute. No preloading: a worker that is started again
then runs the code that lies on the disk. A worker dies with its master even when that is killed with -9; without
this it would keep the port for up to a second and answer with old code.
"""

import os
import tempfile
from typing import Any

from offstreet.runtime.processes import die_with_parent

wsgi_app = "offstreet.wsgi:application"
bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
# A thread worker that answers `/healthz` while all its threads wait.
worker_class = "offstreet.runtime.web_worker.WebWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 30
graceful_timeout = 8
keepalive = 5
# Heartbeat files in memory where there is some: on a slow disk they would stall the worker that touches them.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
control_socket_disable = True
logger_class = "offstreet.runtime.weblog.GunicornLogger"
# Off; for who turns it on (`--access-logfile -`), the line has the path without its query, which may hold a plate.
accesslog = None
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(M)sms'
errorlog = "-"
loglevel = os.environ.get("WEB_LOG_LEVEL", "warning")

_master_pid = os.getpid()


def when_ready(server: Any) -> None:
    """Say once that the port is open; the process manager and people wait for it."""
    server.log.warning("Listening at %s", ", ".join(str(listener) for listener in server.LISTENERS))


def post_fork(server: Any, worker: Any) -> None:
    """Tie each worker to its master."""
    die_with_parent(_master_pid)
