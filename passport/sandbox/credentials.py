"""The sandbox's log-in. Public on purpose; production refuses to start with it (`offstreet.guards`)."""

SANDBOX_CLIENT_ID = "sandbox-client"
SANDBOX_CLIENT_SECRET = "sandbox-secret"
