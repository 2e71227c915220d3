"""Addresses of the diagnostics of a connection."""

from django.urls import path

from integrations.diagnostics import views

# Below `/c/<company>/`.
company_urls = [
    path("setup/diagnostics/", views.diagnostics, name="diagnostics"),
    # The address that emails and notices named before.
    path("setup/doctor/", views.moved, name="diagnostics_moved"),
]
