"""Addresses of permits and "Is it valid?"; no address holds a plate."""

from django.urls import path

from integrations.permits import cancel_views, search_views, validity_views, views

# Below `/c/<company>/`.
company_urls = [
    path("permits/", views.permit_list, name="permits"),
    path("permits/search/", search_views.permits_search, name="permits_search"),
    path("permits/add/", views.permit_add, name="permit_add"),
    path("permits/hints/", views.permit_hints, name="permit_hints"),
    path("permits/states/", views.permit_states, name="permit_states"),
    path("permits/cancel/", cancel_views.permits_cancel, name="permits_cancel"),
    path("permits/reinstate/", cancel_views.permits_reinstate, name="permits_reinstate"),
    path("permits/<int:pk>/", views.permit_page, name="permit"),
    path("permits/<int:pk>/change/", views.permit_change, name="permit_change"),
    path("permits/<int:pk>/cancel/", cancel_views.permit_cancel, name="permit_cancel"),
    path("permits/<int:pk>/reinstate/", cancel_views.permit_reinstate, name="permit_reinstate"),
    path("permits/<int:pk>/check/", views.permit_check, name="permit_check"),
    path("permits/<int:pk>/held/", views.permit_held, name="permit_held"),
    path("valid/", validity_views.validity, name="validity"),
]
