"""A session that ends while its request is answered takes nothing back that the request did.

Somebody signs out (or is signed out) in another window between a page's work and the end of its request: the session's row
is gone when it is to be saved. Django then answers 400 in place of the page's own answer, so that a permit that was saved
looked as if nothing had been changed. The answer stands; whoever asks next is signed out.
"""

import structlog
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's, except that the answer survives a session that is gone by the time it is to be saved."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """See Django's. The cookie stays as it is: it may be that of a session which has begun meanwhile."""
        try:
            return super().process_response(request, response)
        except SessionInterrupted:
            log.info("a session ended while its request was answered")
            return response
