"""Addresses of the comparison with what enforcement sees."""

from django.urls import path

from integrations.reconciliation import views

# Below `/c/<company>/`.
company_urls = [
    path("comparison/<int:pk>/", views.comparison, name="comparison"),
    path("comparison/<int:pk>/now/", views.compare_now, name="compare_now"),
]
