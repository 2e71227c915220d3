"""The web container's health check: asks `/healthz` the way the site is meant to be asked.

Django answers only to the names in `ALLOWED_HOSTS`, so the request carries the first of them. Exit status 0 means
healthy. Standard library only: it runs every few seconds.
"""

import http.client
import os
import sys

TIMEOUT_S = 5.0


def host_header(allowed_hosts: str) -> str:
    """Return a name that the site answers to, from the comma-separated `ALLOWED_HOSTS`."""
    first = allowed_hosts.split(",")[0].strip().lstrip(".")
    return "localhost" if first in ("", "*") else first


def main() -> int:
    """Return 0 if the web server on this machine says that it can serve."""
    port = int(os.environ.get("WEB_BIND", "127.0.0.1:8000").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(
            "GET", "/healthz", headers={"Host": host_header(os.environ.get("ALLOWED_HOSTS", ""))}
        )
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
