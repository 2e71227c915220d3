"""Addresses for people without a log-in, and support's list of all set-ups; at the root of the address plan."""

from django.urls import path

from integrations.views import notices, notifications, public_links, security, setups

urlpatterns = [
    path("t/<str:token>/", public_links.test_answer, name="test_answer"),
    path("s/<str:token>/", public_links.status_page, name="status_page"),
    path("setups/mails/", notifications.support_notifications, name="support_notifications"),
    path("security/", security.security_log_all, name="security_log_all"),
    path("security.csv", security.security_log_all_csv, name="security_log_all_csv"),
    path("setups/", setups.setups, name="setups"),
    path("setups/notices/<int:pk>/dismiss/", notices.dismiss_for_support, name="support_notice_dismiss"),
]
