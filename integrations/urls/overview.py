"""Addresses of a company's overview, mapping, zones, activity and contacts, below `/c/<company>/`."""

from django.urls import path

from integrations.views import mapping, overview, zones

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("locations/", mapping.locations, name="locations"),
    path("locations/map/", mapping.map_several, name="locations_map"),
    path("locations/accept/", mapping.accept_suggestions, name="suggestions_accept"),
    path("locations/zone-options/", mapping.zone_options, name="zone_options"),
    path("locations/<int:pk>/zone/", mapping.map_one, name="location_map"),
    path("zones/", zones.zone_list, name="zones"),
    path("zones/<int:pk>/", zones.zone_page, name="zone"),
    path("zones/refresh/", zones.refresh, name="zones_refresh"),
    path("zones/refreshes/", zones.refreshes, name="zone_refreshes"),
    path("zones/refreshes/<int:pk>/", zones.refresh_page, name="zone_refresh"),
    path("zones/refreshes/<int:pk>/decide/", zones.refresh_decide, name="zone_refresh_decide"),
]
