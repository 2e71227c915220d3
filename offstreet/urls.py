"""The address plan. Each app keeps its own; this file only joins them."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from integrations.urls import company_urls
from locations.views.places import company_add
from offstreet.demo_mail import demo_mail, demo_mails
from offstreet.health import healthz
from offstreet.home import home
from offstreet.invitations import invitation
from offstreet.second_factor_views import ActivateAppView
from offstreet.styleguide import styleguide, styleguide_part, styleguide_zones

handler400 = "offstreet.errors.bad_request"
handler500 = "offstreet.errors.server_error"

company_pages: list[URLPattern | URLResolver] = [
    path("", include("locations.urls")),
    *company_urls,
]

urlpatterns = [
    path("", home, name="home"),
    path("companies/add/", company_add, name="company_add"),
    path("invitations/<str:token>/", invitation, name="invitation"),
    path("c/<slug:company_slug>/", include(company_pages)),
    path("", include("integrations.urls")),
    path("healthz", healthz, name="healthz"),
    path("accounts/2fa/totp/activate/", ActivateAppView.as_view(), name="mfa_activate_totp"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("demo/mail/", demo_mails, name="demo_mails"),
    path("demo/mail/<str:mail_id>/", demo_mail, name="demo_mail"),
    path("styleguide/", styleguide, name="styleguide"),
    path("styleguide/part/", styleguide_part, name="styleguide_part"),
    path("styleguide/zones/", styleguide_zones, name="styleguide_zones"),
]
