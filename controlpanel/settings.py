"""Settings, all by environment variables. docs/configuration.md lists and explains each."""

import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import environ
from csp.constants import NONE, SELF

from clusters.ports import NOT_ENGINES

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- The process ---------------------------------------------------------------------------------
DEBUG = env.bool("PILOTHOUSE_DEBUG", default=False)
# A key of the moment does for commands and tests; asgi.py refuses to serve without a lasting one.
SECRET_KEY_GIVEN = bool(env.str("PILOTHOUSE_SECRET_KEY", default=""))
SECRET_KEY = env.str("PILOTHOUSE_SECRET_KEY", default="") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = env.list("PILOTHOUSE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("PILOTHOUSE_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("PILOTHOUSE_HTTPS", default=False)  # this is production; see controlpanel/safety
# What controlpanel/safety would refuse to start with, and somebody takes upon themselves.
ACCEPTED_RISKS = env.list("PILOTHOUSE_ACCEPTED_RISKS", default=[])
LARGEST_BODY = env.int("PILOTHOUSE_LARGEST_BODY", default=5 * 2**20)  # bytes of one request
# Where the embedded database, broker and logs of `make run` live.
STATE_DIR = Path(env.str("PILOTHOUSE_STATE_DIR", default=str(BASE_DIR / "var")))
# What Prometheus shows to be let in to /metrics; without one nobody is.
METRICS_TOKEN = env.str("PILOTHOUSE_METRICS_TOKEN", default="")

INSTALLED_APPS = [
    "controlpanel.apps.ControlPanelConfig",
    "metrics.apps.MetricsConfig",
    "clusters.apps.ClustersConfig",
    "access.apps.AccessConfig",
    "live.apps.LiveConfig",
    "telemetry.apps.TelemetryConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "channels",
    "django_htmx",
    "ninja",  # its Swagger page is served from our own static files
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "controlpanel.middleware.told_to_browsers",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "controlpanel.middleware.one_look_at_rights",
    "controlpanel.middleware.failures_in_words",
]

ROOT_URLCONF = "controlpanel.urls"
ASGI_APPLICATION = "controlpanel.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlpanel.context.shell",
            ],
            "builtins": [f"clusters.templatetags.{of}" for of in ("swarm", "moments", "values")],
        },
    }
]

# --- The database: PostgreSQL is the truth, and its NOTIFY is the bus ----------------------------
DATABASES = {"default": env.db("DATABASE_URL", default="postgres:///pilothouse")}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 5)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Under ASGI a request's thread is not the next one's, so connections outlive requests in a pool. It
# gives up early on a server that is away, and asks again with the next request.
DATABASES["default"]["OPTIONS"].setdefault(
    "pool", {"min_size": 1, "max_size": 30, "timeout": 5, "reconnect_timeout": 2}
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery: its messages are wake-ups, the rows in PostgreSQL are the truth ---------------------
CELERY_BROKER_URL = env.str(
    "CELERY_BROKER_URL", default=env.str("REDIS_URL", default="redis://localhost:6379/0")
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# A message is JSON and names a task of ours; nobody steers a worker through the broker.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = (
    False  # a broker that is away must not hold a request; the sweep resends
)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- People --------------------------------------------------------------------------------------
AUTH_USER_MODEL = "access.User"
LOGIN_URL = "access:sign-in"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = 12 * 3600  # seconds; work does not prolong it
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# Strict would lose it on the way back from an identity provider.
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if HTTPS:
    # A browser takes these from this very host over HTTPS alone: no sibling can plant one.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [
        r"^healthz$",
        r"^readyz$",
        r"^metrics$",
    ]  # asked from inside, past the proxy
# Whether a domain's other hosts speak HTTPS is for its owner to say, not for this panel.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Signing in is allauth's; access/adapters.py is what it asks us. It knows no e-mail here.
ACCOUNT_ADAPTER = "access.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# `key` is a user name together with an address, or a person who owes a second factor.
ACCOUNT_RATE_LIMITS = {"login": "120/m/ip", "login_failed": "30/5m/ip,5/5m/key"}
# How many proxies of yours stand before the panel, each of which adds to X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("PILOTHOUSE_TRUSTED_PROXIES", default=0)
# What is tried is counted by all web processes together.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "pilothouse_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # so that nobody washes counts out with others
    }
}

MFA_ADAPTER = "access.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Pilothouse"
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds, either way: telephones' clocks differ

# One identity provider, by OpenID Connect.
OIDC_ISSUER = env.str("PILOTHOUSE_OIDC_ISSUER", default="")
OIDC_NAME = env.str("PILOTHOUSE_OIDC_NAME", default="your identity provider")
OIDC_GROUPS_CLAIM = env.str("PILOTHOUSE_OIDC_GROUPS_CLAIM", default="groups")
SOCIALACCOUNT_ADAPTER = "access.adapters.SocialAccountAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds, for every call to the provider
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "SCOPE": env.str("PILOTHOUSE_OIDC_SCOPE", default="openid profile").split(),
        "APPS": [
            {
                "provider_id": OIDC_ISSUER,  # another issuer's people are other people
                "name": OIDC_NAME,
                "client_id": env.str("PILOTHOUSE_OIDC_CLIENT_ID", default=""),
                "secret": env.str("PILOTHOUSE_OIDC_CLIENT_SECRET", default=""),
                "settings": {"server_url": OIDC_ISSUER.rstrip("/")},
            }
        ],
    }
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "object-src": [NONE],
        "frame-src": [NONE],
        "worker-src": [NONE],
    }
}

# A directory off this host in which the heads of the audit trail are kept, e.g. a mount.
AUDIT_HEADS = env.str("PILOTHOUSE_AUDIT_HEADS", default="")
# The page of an unforeseen exception hides what is sensitive, with PILOTHOUSE_DEBUG as well.
DEFAULT_EXCEPTION_REPORTER_FILTER = "controlpanel.reports.ValuesHidden"
# A file that somebody uploads may hold a secret: it stays in memory, and one that is too large for
# that is not taken at all.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

# --- Static files --------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # a fresh clone serves without a collectstatic

# --- Swarm ---------------------------------------------------------------------------------------
# The local engine is found by itself; a cluster elsewhere is registered in the panel.
DOCKER_HOST = env.str("DOCKER_HOST", default="unix:///var/run/docker.sock")
# Where an engine may be registered, and never is: see clusters/destinations.py.
ENGINE_SOCKETS = env.list(
    "PILOTHOUSE_ENGINE_SOCKETS",
    default=[
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/user/*/docker.sock",
        DOCKER_HOST.removeprefix("unix://"),
    ],
)
ENGINE_REFUSED = env.list("PILOTHOUSE_ENGINE_REFUSED", default=list(NOT_ENGINES))
ENGINE_TIMEOUT = env.float("PILOTHOUSE_ENGINE_TIMEOUT", default=5.0)  # seconds, for every call
OPERATION_LEASE = env.float("PILOTHOUSE_OPERATION_LEASE", default=20.0)  # seconds
WATCHER_LEASE = env.float("PILOTHOUSE_WATCHER_LEASE", default=10.0)  # seconds

# --- Metrics -------------------------------------------------------------------------------------
# The local cluster's Prometheus; another cluster's is set in the panel.
_prometheus = urlsplit(env.str("PROMETHEUS_URL", default="").rstrip("/"))
# Without a name and a password, which nobody shall read on a page or in the audit trail.
PROMETHEUS_URL = urlunsplit(_prometheus._replace(netloc=_prometheus.netloc.rpartition("@")[2]))
PROMETHEUS_TOKEN = env.str("PROMETHEUS_TOKEN", default="")
PROMETHEUS_USERNAME = env.str("PROMETHEUS_USERNAME", default=unquote(_prometheus.username or ""))
PROMETHEUS_PASSWORD = env.str("PROMETHEUS_PASSWORD", default=unquote(_prometheus.password or ""))
PROMETHEUS_CA_FILE = env.str("PROMETHEUS_CA_FILE", default="")
PROMETHEUS_TIMEOUT = env.float("PROMETHEUS_TIMEOUT", default=10.0)  # seconds, for every query

# --- Words and numbers ---------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.str("TZ", default="UTC")
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "controlpanel.redaction.Formatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("PILOTHOUSE_LOG_LEVEL", default="INFO")},
}
