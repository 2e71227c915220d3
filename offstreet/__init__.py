"""The Django project.

Importing this package costs nothing: the process manager (`offstreet.runtime`) and the installer run without Django
and Celery. The Celery application is loaded by `offstreet.apps`, so tasks find their broker settings.
"""
