"""Addresses of a company's way to live: set-up, test plates, doctor."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
