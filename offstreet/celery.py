"""The Celery application.

Celery only wakes the delivery engine and runs chores (zone pulls, e-mails); what is to be done is kept in the
database. So a lost message costs seconds, never a record, and nothing here uses retries, ETAs or a result backend.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")

app = Celery("offstreet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
