"""An environment that production accepts, for the tests of its guards and for `check --deploy`."""

PRODUCTION_ENVIRONMENT = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "k8Vw2pQx7Zr4mT9cYb6Ln1Hd5Gf3Js0Ae-Ui_Xo!Wq%Rt&Zu+Pl=Mk",
    "ALLOWED_HOSTS": "passport.offstreet.example",
    "SITE_URL": "https://passport.offstreet.example",
    "EMAIL_URL": "smtp+tls://offstreet:not-a-real-one@mail.example:587",
    "FIELD_ENCRYPTION_KEYS": "4vJ0m3m8cZcQm0dZVYxk5a4o0k3n1Ww2c5v2q7b8N6s=",
    "DATABASE_URL": "postgres://offstreet:not-a-real-one@database.example:5432/offstreet",
    "REDIS_URL": "redis://:not-a-real-one@broker.example:6379/0",
    "PASSPORT_BASE_URL": "https://api.us.passportinc.com",
    "PASSPORT_CLIENT_ID": "offstreet-production",
    "PASSPORT_CLIENT_SECRET": "not-a-real-one-either",
    "BEHIND_TLS_PROXY": "True",
}
