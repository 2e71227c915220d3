"""Addresses of a company's permits and of "Is it valid?", below `/c/<company>/`. No address holds a plate."""

from django.urls import path

from integrations.views import cancelling, permit_search, permits, validity

urlpatterns = [
    path("permits/", permits.permit_list, name="permits"),
    path("permits/search/", permit_search.permits_search, name="permits_search"),
    path("permits/add/", permits.permit_add, name="permit_add"),
    path("permits/hints/", permits.permit_hints, name="permit_hints"),
    path("permits/states/", permits.permit_states, name="permit_states"),
    path("permits/cancel/", cancelling.permits_cancel, name="permits_cancel"),
    path("permits/reinstate/", cancelling.permits_reinstate, name="permits_reinstate"),
    path("permits/<int:pk>/", permits.permit_page, name="permit"),
    path("permits/<int:pk>/change/", permits.permit_change, name="permit_change"),
    path("permits/<int:pk>/cancel/", cancelling.permit_cancel, name="permit_cancel"),
    path("permits/<int:pk>/reinstate/", cancelling.permit_reinstate, name="permit_reinstate"),
    path("permits/<int:pk>/check/", permits.permit_check, name="permit_check"),
    path("permits/<int:pk>/held/", permits.permit_held, name="permit_held"),
    path("valid/", validity.validity, name="validity"),
]
