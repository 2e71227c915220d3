"""Addresses of members, invitations and contacts."""

from django.urls import path

from integrations.members import views

# Below `/c/<company>/`.
company_urls = [
    path("settings/", views.members, name="settings"),
    path("settings/invite/", views.invite, name="invite"),
    path("settings/invitations/<int:pk>/withdraw/", views.invitation_withdraw, name="invitation_withdraw"),
    path("settings/members/<int:pk>/", views.member_change, name="member_change"),
    path("settings/members/<int:pk>/remove/", views.member_remove, name="member_remove"),
    path("settings/contacts/", views.contacts, name="contacts"),
    path("settings/contacts/<int:pk>/remove/", views.contact_remove, name="contact_remove"),
]
