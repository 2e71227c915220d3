"""The WSGI entry for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
application = get_wsgi_application()

from integrations.worker.gc_tuning import freeze  # noqa: E402 - needs the settings

# The addresses lead to all views and forms: loaded here, the first visitor does not wait for them.
_ = get_resolver().url_patterns
freeze()
