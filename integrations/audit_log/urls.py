"""Addresses of pushes, refusals and what people did."""

from django.urls import path

from integrations.audit_log import people_views, security_views, views

# Below `/c/<company>/`.
company_urls = [
    path("activity/", views.pushes, name="activity"),
    path("activity/pushes/<int:pk>/", views.push_page, name="push"),
    path("activity/refused/", views.refused, name="refused"),
    path("activity/retry/", views.retry, name="retry"),
    path("activity/people/", people_views.people, name="activity_people"),
    path("activity/people/search/", people_views.people_search, name="activity_people_search"),
    path("activity/people.csv", people_views.people_csv, name="activity_people_csv"),
    path("activity/security/", security_views.security_log, name="security_log"),
    path("activity/security.csv", security_views.security_log_csv, name="security_log_csv"),
]

# At the root of the site.
site_urls = [
    path("security/", security_views.security_log_all, name="security_log_all"),
    path("security.csv", security_views.security_log_all_csv, name="security_log_all_csv"),
]
