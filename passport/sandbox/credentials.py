"""The credentials that the sandbox accepts unless it is given others.

They are public on purpose. The product's settings import them to refuse them in production, so this module must
stay free of imports.
"""

SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-secret"
SANDBOX_AUDIENCE = "public.api.passportinc.com"
SANDBOX_CREDENTIALS = {
    "client_id": SANDBOX_CLIENT_ID,
    "client_secret": SANDBOX_CLIENT_SECRET,
    "audience": SANDBOX_AUDIENCE,
}
