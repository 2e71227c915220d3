"""Sets Django up for a program of its own that names functions which import models: it imports this module first.

Code under pytest has Django already. The settings are those of the unit tests, so nothing here uses a database; the
functions themselves run elsewhere, with the product's own settings (`Stack.run`).
"""

import os

import django
from django.apps import apps

if not apps.ready:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
