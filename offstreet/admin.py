"""What of Django's own and of libraries' admin must not be there: a sign-in beside the product's, and rows that hold secrets.

The admin's sign-in knows neither throttling nor the second step, so its addresses lead to the product's own. The pages of
libraries would show secrets of second factors and keys of sessions in plain text, and let rows be deleted. People see to
their own addresses, second factors and sessions under their account; see `locations.admin` for what support may do.
"""

# Each of these modules registers its models when it is imported, so it has to be before they can be taken out.
import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponseBase
from django.views.generic import RedirectView

_autocomplete = admin.site.autocomplete_view


def autocomplete(request: HttpRequest) -> HttpResponseBase:
    """Suggest rows as Django does; without the parameters that say of what, which is a `KeyError` there, there is nothing."""
    if not {"app_label", "model_name", "field_name"} <= request.GET.keys():
        raise Http404
    return _autocomplete(request)


admin.site.unregister([EmailAddress, Authenticator, UserSession])
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[method-assign,assignment]
admin.site.autocomplete_view = autocomplete  # type: ignore[method-assign,assignment]
