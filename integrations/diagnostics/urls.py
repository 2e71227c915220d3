"""Addresses of the diagnostics of a connection."""

from django.urls import path

from integrations.diagnostics import views

# Below `/c/<company>/`.
company_urls = [
    path("setup/doctor/", views.doctor, name="doctor"),
]
