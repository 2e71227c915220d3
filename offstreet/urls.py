"""The address plan. Each app keeps its own; this file only joins them."""

from django.contrib import admin
from django.urls import include, path

from offstreet.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
