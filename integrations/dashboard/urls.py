"""Addresses of the overview of a company and of all companies."""

from django.urls import path

from integrations.dashboard import all_companies_views, views

# Below `/c/<company>/`.
company_urls = [
    path("", views.overview, name="overview"),
]

# At the root of the site.
site_urls = [
    path("companies/", all_companies_views.companies, name="companies"),
]
