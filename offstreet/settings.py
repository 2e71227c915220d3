"""Settings: one file, one place for every environment variable (all listed in `.env.example`).

What it decides: without any variable set, the project runs as a development install on SQLite and the embedded
broker in `var/`; with `ENVIRONMENT=production` it refuses to start on anything that is only fit for a demo and says
which setting and why (`offstreet.guards`). A running demo writes its addresses to `var/demo.env`, which development
commands read, so that `manage.py …` beside it talks to the same database, broker and Passport.
"""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from offstreet.database import postgresql_options
from offstreet.guards import DEVELOPMENT_SECRET_KEY, known_environment, positive, refuse_unsafe_production
from offstreet.logs import logging_config
from offstreet.runtime import private
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
# A variable of the real environment wins over .env, and .env over what a running demo wrote. Tests read neither.
if env.str("ENVIRONMENT", default="") != "test":
    env.read_env(BASE_DIR / ".env", overwrite=False)
ENVIRONMENT = known_environment(env.str("ENVIRONMENT", default="development"))
PRODUCTION = ENVIRONMENT == "production"
VAR_DIR = Path(env.str("VAR_DIR", default="") or BASE_DIR / "var")
if ENVIRONMENT == "development":
    env.read_env(VAR_DIR / "demo.env", overwrite=False)

# --- Django -----------------------------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY", default="" if PRODUCTION else DEVELOPMENT_SECRET_KEY)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")

INSTALLED_APPS = [
    "offstreet.apps.OffstreetConfig",
    "locations.apps.LocationsConfig",
    "integrations.apps.IntegrationsConfig",
    "passport.apps.PassportConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_filters",
    "django_htmx",
    "simple_history",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before the first that looks at the address: WhiteNoise asks the file system.
    "offstreet.readable.ReadableRequests",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "offstreet.middleware.NothingStaysBehind",
    # Pages weigh a fifth of it; Django pads each answer by a random length, so that no secret can be guessed from sizes.
    "django.middleware.gzip.GZipMiddleware",
    # Around everything that uses the database.
    "offstreet.errors.NoteWrites",
    "offstreet.sessions.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "offstreet.middleware.SignInAndComeBack",
    "offstreet.middleware.WayOnFromForms",
    "offstreet.middleware.SupportNeedsTwoSteps",
    "simple_history.middleware.HistoryRequestMiddleware",
    "offstreet.middleware.RequestContextMiddleware",
]

ROOT_URLCONF = "offstreet.urls"
WSGI_APPLICATION = "offstreet.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "offstreet.context.shell",
            ],
        },
    },
]

# --- Data -------------------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}")
}
_database = DATABASES["default"]
# How long a statement may take, in the web and in workers (`manage.py` sets 0: no limit); see `offstreet.database`.
DATABASE_STATEMENT_TIMEOUT_S = env.float("DATABASE_STATEMENT_TIMEOUT_S", default=30)
if _database["ENGINE"] == "django.db.backends.sqlite3":
    if ENVIRONMENT == "development":
        private.directory(VAR_DIR)
        if Path(_database["NAME"]).parent == VAR_DIR:
            private.file(Path(_database["NAME"]))
    elif not PRODUCTION:
        VAR_DIR.mkdir(parents=True, exist_ok=True)
    # WAL lets readers and the one writer work side by side; IMMEDIATE takes the write lock when a transaction begins,
    # so that two writers queue for at most `timeout` seconds and never fail half-way with "database is locked". It is less
    # than the 15 s that a page waits for an answer: who waits is told, and it is tried again (`offstreet.errors`).
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 12,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=12000;",
    }
    _database["CONN_MAX_AGE"] = None
else:
    _database["OPTIONS"] = postgresql_options(
        pool_size=env.int("DATABASE_POOL_SIZE", default=12), statement_timeout_s=DATABASE_STATEMENT_TIMEOUT_S
    )
    _database["CONN_MAX_AGE"] = 0
    _database["CONN_HEALTH_CHECKS"] = True
# The engine prepares the statements that it makes for single rows. To be turned off behind a pooler that hands one server
# connection to many clients and knows nothing of prepared statements (PgBouncer before 1.21).
DATABASE_PREPARED_STATEMENTS = env.bool("DATABASE_PREPARED_STATEMENTS", default=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "locations.User"
# Keys for secrets at rest (access tokens), newest first; each decrypts, the first encrypts.
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[])

# --- Broker and cache -------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="")
if not REDIS_URL:
    from offstreet.runtime.broker import embedded_url

    REDIS_URL = embedded_url(VAR_DIR)
# Production asks for a password in REDIS_URL unless nobody else can reach that Redis (`offstreet.guards`).
REDIS_NETWORK_IS_TRUSTED = env.bool("REDIS_NETWORK_IS_TRUSTED", default=False)
# Redis answers in well under a millisecond; when it hangs, a web request must not hang with it.
REDIS_SOCKET_TIMEOUT_S = 0.3
# A consumer sits out a broker that stalls for a moment (a sync to a slow disk) instead of reconnecting.
REDIS_CONSUMER_TIMEOUT_S = 5
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "offstreet.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "offstreet",
        "OPTIONS": {
            "socket_timeout": REDIS_SOCKET_TIMEOUT_S,
            "socket_connect_timeout": REDIS_SOCKET_TIMEOUT_S,
        },
    }
}
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
# Redis is no place to take code from: JSON alone is read, whatever a message says that it is (see `offstreet.cache`).
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 30,
    "unacked_restore_interval": 15,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": REDIS_SOCKET_TIMEOUT_S,
    "socket_timeout": REDIS_SOCKET_TIMEOUT_S,
    "health_check_interval": 5,
}
# Ours, not Celery's: what `offstreet.celery.Application` changes for the connection that consumes.
CELERY_BROKER_CONSUMER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": REDIS_CONSUMER_TIMEOUT_S,
    "socket_timeout": REDIS_CONSUMER_TIMEOUT_S,
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_TASK_DEFAULT_QUEUE = "offstreet"
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Mails that go to the console are shown as they are, not as warnings of Celery's.
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_POOL = "threads"
# The threads of Celery's own pool, which run tasks (zone refreshes).
CELERY_WORKER_CONCURRENCY = positive("CELERY_THREADS", env.int("CELERY_THREADS", default=4))
# Requests with deliveries that one worker has in flight at the same time; as many again may hang beside them
# (integrations.delivery.fair_share).
DELIVERIES_AT_ONCE = positive("DELIVERIES_AT_ONCE", env.int("DELIVERIES_AT_ONCE", default=18))
# The file that `integrations.worker.liveness` touches while a worker delivers; empty: none.
WORKER_HEARTBEAT_FILE = env.str("WORKER_HEARTBEAT_FILE", default="")

# --- Sign-in ----------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "offstreet.accounts.AccountAdapter"
ACCOUNT_FORMS = {
    "add_email": "offstreet.account_forms.ChangeAddressForm",
    "reset_password": "offstreet.account_forms.ResetPasswordForm",
    "reset_password_from_key": "offstreet.account_forms.NewPasswordForm",
}
# One address for each account, which counts once a mailed link has verified it; see `locations.addresses`.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# The owner of an account learns by mail of every change of how it is signed in to.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = True
# What mails an address that somebody typed; a mailbox must not be filled by asking again and again.
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip,5/h/key", "manage_email": "5/m/user,20/h/user"}
MFA_ADAPTER = "offstreet.second_factors.MfaAdapter"
MFA_FORMS = {
    "add_webauthn": "offstreet.passkey_forms.AddPasskeyForm",
    "edit_webauthn": "offstreet.passkey_forms.RenamePasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Offstreet"
# A passkey is a second step and never the only one: whoever held an account before its owner got it back would otherwise
# keep a way in that no new password closes.
MFA_PASSKEY_LOGIN_ENABLED = False
# Browsers take http://localhost for safe; allauth has to be told so.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION
# A change of address that waits to be confirmed keeps nobody from a second step: who is signed in has a verified one.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_REQUIRED_FOR_SUPPORT = env.bool("MFA_REQUIRED_FOR_SUPPORT", default=PRODUCTION)
USERSESSIONS_TRACK_ACTIVITY = False
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
SESSION_COOKIE_AGE = 14 * 24 * 3600

# --- Web --------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# A checkout works before its static files have been collected (offstreet.storage).
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "offstreet.storage.HashedStaticFiles"},
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=PRODUCTION)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# allauth reads the visitor's address by it (`get_adapter().get_client_ip`), for the limits on tries and the list of sessions.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", default=1 if BEHIND_TLS_PROXY else 0)
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    },
}

EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
# The demo keeps emails in this folder instead of sending them, and shows them at /demo/mail/ (`offstreet.demo_mail`).
DEMO_MAILBOX = env.str("DEMO_MAILBOX", default="")
if DEMO_MAILBOX:
    EMAIL_BACKEND = "offstreet.demo_mail.MailboxBackend"
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Offstreet <no-reply@offstreet.example>")
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="support@offstreet.example")

# The operator ID that the demo offers for practice to a company without an integration.
DEMO_OPERATOR_ID = "" if PRODUCTION else env.str("DEMO_OPERATOR_ID", default="")

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING_CONFIG = None
LOGGING = logging_config(level=LOG_LEVEL, as_json=env.bool("LOG_JSON", default=PRODUCTION))
__import__("logging.config").config.dictConfig(LOGGING)

# --- Integrations -----------------------------------------------------------------------------------------------

# Each vendor is one class, found by its dotted path: the only way in which `integrations` knows of a vendor.
INTEGRATION_VENDORS = {"passport": "passport.vendor.Passport"}

# How soon a refused registration is tried again automatically where its reason may pass; doubled each time, up to the
# longest.
REFUSAL_RETRY_FIRST_S = env.float("REFUSAL_RETRY_FIRST_S", default=60)
REFUSAL_RETRY_MAX_S = env.float("REFUSAL_RETRY_MAX_S", default=3600)

# How often each live connection is compared with what enforcement sees.
COMPARISON_EVERY_S = env.float("COMPARISON_EVERY_S", default=300)
# A change that nobody asked for is held for a person if it ends more rights than both: this share of a connection's, and
# this number.
HELD_CHANGE_SHARE = env.float("HELD_CHANGE_SHARE", default=0.2)
HELD_CHANGE_RIGHTS = env.int("HELD_CHANGE_RIGHTS", default=25)
# How old the last successful comparison with what enforcement sees may be for a page to say that enforcement sees everything.
ENFORCEMENT_PROOF_MAX_AGE_S = positive(
    "ENFORCEMENT_PROOF_MAX_AGE_S", env.int("ENFORCEMENT_PROOF_MAX_AGE_S", default=900)
)

PASSPORT_BASE_URL = env.str(
    "PASSPORT_BASE_URL", default="" if PRODUCTION else "http://127.0.0.1:8001"
).rstrip("/")
PASSPORT_CLIENT_ID = env.str("PASSPORT_CLIENT_ID", default="" if PRODUCTION else SANDBOX_CLIENT_ID)
PASSPORT_CLIENT_SECRET = env.str(
    "PASSPORT_CLIENT_SECRET", default="" if PRODUCTION else SANDBOX_CLIENT_SECRET
)
PASSPORT_AUDIENCE = env.str("PASSPORT_AUDIENCE", default="public.api.passportinc.com")
# Events of one type that may travel in one request (assumed; Passport documents no maximum).
PASSPORT_EVENT_BATCH_SIZE = env.int("PASSPORT_EVENT_BATCH_SIZE", default=100)
# How a state is written: "iso" = US-NC, "short" = NC (assumed; Passport names ISO 3166-2 and shows neither).
PASSPORT_STATE_FORMAT = env.str("PASSPORT_STATE_FORMAT", default="iso")
# What the (always zero) fees of a registration are counted in.
PASSPORT_CURRENCY = env.str("PASSPORT_CURRENCY", default="USD")
# Requests a second for the whole fleet; 0 = no limit.
PASSPORT_REQUESTS_PER_SECOND = env.float("PASSPORT_REQUESTS_PER_SECOND", default=0)
PASSPORT_CONNECT_TIMEOUT_S = env.float("PASSPORT_CONNECT_TIMEOUT_S", default=3)
PASSPORT_READ_TIMEOUT_S = env.float("PASSPORT_READ_TIMEOUT_S", default=6)
PASSPORT_TOTAL_TIMEOUT_S = env.float("PASSPORT_TOTAL_TIMEOUT_S", default=8)

if PRODUCTION:
    refuse_unsafe_production(globals())
