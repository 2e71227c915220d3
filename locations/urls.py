"""Addresses of a company's locations and settings, below `/c/<company>/`."""

from django.urls import path

from locations.views import places

urlpatterns = [
    path("locations/add/", places.location_add, name="location_add"),
    path("locations/<int:pk>/", places.location_change, name="location_change"),
    path("settings/company/", places.company_details, name="settings_company"),
]
