"""The Django project. Importing it loads the Celery application, so that tasks find their broker settings."""

from offstreet.celery import app as celery_app

__all__ = ("celery_app",)
