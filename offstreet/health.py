"""`/healthz`: tells a load balancer or container engine whether this process can serve a page.

It asks the database and nothing else: without the broker a save still works (the sweeper delivers), so a broken
broker must not take the web processes out of service. What went wrong goes to the log; the answer tells nobody.
"""

import structlog
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = structlog.get_logger(__name__)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 `ok` if the database answers, else 503 `unavailable`."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        logger.exception("health_check_failed")
        return HttpResponse("unavailable\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")
