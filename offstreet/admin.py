"""What libraries would show in the admin and must not be there.

Their pages would show secrets of second factors and keys of sessions in plain text, and let rows be deleted. People see to
their own addresses, second factors and sessions under their account; see `locations.admin` for what support may do.
"""

# Each of these modules registers its models when it is imported, so it has to be before they can be taken out.
import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin

admin.site.unregister([EmailAddress, Authenticator, UserSession])
