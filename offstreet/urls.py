"""The address plan. Each app keeps its own; this file only joins them."""

from django.contrib import admin
from django.urls import include, path

from offstreet.health import healthz
from offstreet.styleguide import styleguide, styleguide_zones

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("styleguide/", styleguide, name="styleguide"),
    path("styleguide/zones/", styleguide_zones, name="styleguide_zones"),
]
