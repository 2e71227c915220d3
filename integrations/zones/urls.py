"""Addresses of zones and the mapping of locations."""

from django.urls import path

from integrations.zones import mapping_confirm, mapping_views, views

# Below `/c/<company>/`.
company_urls = [
    path("locations/", mapping_views.locations, name="locations"),
    path("locations/map/", mapping_views.map_several, name="locations_map"),
    path("locations/accept/", mapping_views.accept_suggestions, name="suggestions_accept"),
    path("locations/undo/", mapping_confirm.mapping_undo, name="mapping_undo"),
    path("locations/zone-hint/", mapping_views.zone_hint, name="zone_hint"),
    path("locations/zone-options/", mapping_views.zone_options, name="zone_options"),
    path("locations/<int:pk>/zone/", mapping_views.map_one, name="location_map"),
    path("zones/", views.zone_list, name="zones"),
    path("zones/<int:pk>/", views.zone_page, name="zone"),
    path("zones/refresh/", views.refresh, name="zones_refresh"),
    path("zones/refreshes/", views.refreshes, name="zone_refreshes"),
    path("zones/refreshes/<int:pk>/", views.refresh_page, name="zone_refresh"),
    path("zones/refreshes/<int:pk>/decide/", views.refresh_decide, name="zone_refresh_decide"),
]
