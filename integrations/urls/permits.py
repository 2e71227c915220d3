"""Addresses of a company's permits."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
