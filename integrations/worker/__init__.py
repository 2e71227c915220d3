"""The Celery worker: the engine and the scheduler as a bootstep, tasks, and periodic tasks."""
