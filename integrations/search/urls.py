"""The address of the search."""

from django.urls import path

from integrations.search import views

# At the root of the site.
site_urls = [
    path("search/", views.search, name="search"),
]
