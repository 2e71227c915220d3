"""Addresses of notices and notification preferences."""

from django.urls import path

from integrations.notifications import notice_views, views

# Below `/c/<company>/`.
company_urls = [
    path("notices/<int:pk>/dismiss/", notice_views.dismiss, name="notice_dismiss"),
    path("settings/notifications/", views.notifications, name="notifications"),
]

# At the root of the site.
site_urls = [
    path("setups/mails/", views.support_notifications, name="support_notifications"),
    path("setups/notices/<int:pk>/dismiss/", notice_views.dismiss_for_support, name="support_notice_dismiss"),
]
