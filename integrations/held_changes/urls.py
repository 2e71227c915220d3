"""Addresses of changes that wait for a person."""

from django.urls import path

from integrations.held_changes import views

# Below `/c/<company>/`.
company_urls = [
    path("held/<int:pk>/", views.held_change, name="held_change"),
    path("held/<int:pk>/decide/", views.decide, name="held_change_decide"),
]
