"""Addresses of a company's overview, mapping, zones, activity and contacts, below `/c/<company>/`."""

from django.urls import path

from integrations.views import activity, mapping, members, notifications, overview, security, zones

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
    path("activity/", activity.pushes, name="activity"),
    path("activity/pushes/<int:pk>/", activity.push_page, name="push"),
    path("activity/refused/", activity.refused, name="refused"),
    path("activity/retry/", activity.retry, name="retry"),
    path("activity/people/", activity.people, name="activity_people"),
    path("activity/security/", security.security_log, name="security_log"),
    path("activity/security.csv", security.security_log_csv, name="security_log_csv"),
    path("settings/", members.members, name="settings"),
    path("settings/invite/", members.invite, name="invite"),
    path("settings/invitations/<int:pk>/withdraw/", members.invitation_withdraw, name="invitation_withdraw"),
    path("settings/members/<int:pk>/", members.member_change, name="member_change"),
    path("settings/members/<int:pk>/remove/", members.member_remove, name="member_remove"),
    path("settings/notifications/", notifications.notifications, name="notifications"),
    path("settings/contacts/", members.contacts, name="contacts"),
    path("settings/contacts/<int:pk>/remove/", members.contact_remove, name="contact_remove"),
]
