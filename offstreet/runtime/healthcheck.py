"""The containers' health checks, with the standard library alone since they run every few seconds.

    python -m offstreet.runtime.healthcheck           the web: asks `/healthz` the way the site is meant to be asked
    python -m offstreet.runtime.healthcheck worker    a worker: has it touched its heartbeat file lately?

Django answers only to the names in `ALLOWED_HOSTS`, so the request carries the first of them. Exit status 0 means
healthy; otherwise one sentence says why not.
"""

import http.client
import os
import sys
import time
from collections.abc import Sequence

TIMEOUT_S = 5.0
# The file is touched every two seconds; this many missed in a row are no coincidence.
HEARTBEAT_MAX_AGE_S = 20.0


def host_header(allowed_hosts: str) -> str:
    """Return a name that the site answers to, from the comma-separated `ALLOWED_HOSTS`."""
    first = allowed_hosts.split(",")[0].strip().lstrip(".")
    return "localhost" if first in ("", "*") else first


def web_fault(environment: dict[str, str]) -> str | None:
    """Return why the web server of this container is not healthy, None if it is."""
    port = int(environment.get("WEB_BIND", "127.0.0.1:8000").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(
            "GET", "/healthz", headers={"Host": host_header(environment.get("ALLOWED_HOSTS", ""))}
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"The web server does not answer: {error!r}."
    finally:
        connection.close()
    return None if status == 200 else f"The web server answers with status {status}."


def worker_fault(environment: dict[str, str], *, now_s: float) -> str | None:
    """Return why the worker of this container is not healthy at `now_s` (seconds since 1970), None if it is."""
    path = environment.get("WORKER_HEARTBEAT_FILE", "")
    if not path:
        return "WORKER_HEARTBEAT_FILE is empty: nothing tells whether the worker delivers."
    try:
        age_s = now_s - os.stat(path).st_mtime
    except OSError:
        return "The worker has not begun to deliver."
    return (
        None
        if age_s <= HEARTBEAT_MAX_AGE_S
        else f"The worker has not gone round for {age_s:.0f} s: it hangs, or its database does not answer."
    )


def main(arguments: Sequence[str]) -> int:
    """Check what the argument names; return the exit status."""
    environment = dict(os.environ)
    fault = worker_fault(environment, now_s=time.time()) if "worker" in arguments else web_fault(environment)
    if fault:
        print(fault, file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
