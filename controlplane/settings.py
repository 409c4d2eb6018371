"""Slipway's settings: one file, read from the environment, with defaults that run on one machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from controlplane import env
from controlplane.home import secret_key

# ONNX Runtime tells its makers of its use unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "pytest" in sys.modules

# --- where state lives -------------------------------------------------------------------------
SLIPWAY_HOME = Path(env.text("SLIPWAY_HOME", str(BASE_DIR / ".slipway"))).resolve()
SLIPWAY_PORT = env.integer("SLIPWAY_PORT", 8000, least=1)

DEBUG = env.flag("SLIPWAY_DEBUG", False)
SECRET_KEY = env.text("SLIPWAY_SECRET_KEY") or secret_key(SLIPWAY_HOME, persist=not TESTING)
# Keys that were in force before: what they signed is still believed.
SECRET_KEY_FALLBACKS = env.words("SLIPWAY_SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("SLIPWAY_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = env.words("SLIPWAY_CSRF_TRUSTED_ORIGINS")
# Behind TLS (production) this turns on secure cookies, HSTS and the redirect to https.
SLIPWAY_TLS = env.flag("SLIPWAY_TLS", False)
# How many proxies in front append to X-Forwarded-For; 0: the header is not believed.
SLIPWAY_PROXIES = env.integer("SLIPWAY_PROXIES", 0)

# --- applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "registry",
    "monitoring",
    "rollouts",
    "controlplane",
]
MIDDLEWARE = [
    "controlplane.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "registry.mlflow.door.MlflowDoor",
    "controlplane.limits.LimitMiddleware",
    "controlplane.door.TokenDoor",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "controlplane.errors.DomainErrorMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
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
                "registry.web.context.navigation",
            ]
        },
    }
]


# --- database ----------------------------------------------------------------------------------
def _database(url: str) -> dict[str, object]:
    """SQLite by default; `postgresql://user:password@host:port/name` through psycopg 3 and its pool."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SLIPWAY_HOME / "db.sqlite3",
            "OPTIONS": {
                # Write locks are taken at BEGIN, so two writers queue instead of failing half-way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            # A file, not memory: tests of concurrent writers then meet the locks of production.
            "TEST": {"NAME": Path(gettempdir()) / f"slipway-test-{os.getpid()}.sqlite3"},
        }
    parts = urlsplit(url)
    if not parts.path.strip("/"):
        raise ImproperlyConfigured(
            "SLIPWAY_DATABASE_URL must be postgresql://user:password@host:5432/name, or empty for SQLite."
        )
    return {
        "ENGINE": "controlplane.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        # A connection that died with its server is found out when it is taken from the pool, and a server
        # that is away is an error within seconds instead of a request that hangs.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": env.integer("SLIPWAY_DATABASE_POOL", 10), "timeout": 5}
        },
    }


# Off for a connection pooler between here and PostgreSQL that cannot keep prepared statements.
SLIPWAY_DATABASE_PREPARE = env.flag("SLIPWAY_DATABASE_PREPARE", True)
DATABASES = {"default": _database(env.url("SLIPWAY_DATABASE_URL", ("postgresql", "postgres"), local=True))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people and sessions -----------------------------------------------------------------------
LOGIN_URL = "registry:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "registry:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
if TESTING:
    # Slow hashing protects real passwords; tests sign in hundreds of times.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Single sign-on: the provider's address as it calls itself; empty: passwords only. See docs/identity.md.
SLIPWAY_OIDC_ISSUER = env.text("SLIPWAY_OIDC_ISSUER")
SLIPWAY_OIDC_CLIENT_ID = env.text("SLIPWAY_OIDC_CLIENT_ID")
SLIPWAY_OIDC_CLIENT_SECRET = env.text("SLIPWAY_OIDC_CLIENT_SECRET")
# What the button says.
SLIPWAY_OIDC_NAME = env.text("SLIPWAY_OIDC_NAME", "single sign-on")
SLIPWAY_OIDC_SCOPES = env.words("SLIPWAY_OIDC_SCOPES", "openid,profile,email")
SLIPWAY_OIDC_USERNAME_CLAIM = env.text("SLIPWAY_OIDC_USERNAME_CLAIM", "preferred_username")
SLIPWAY_OIDC_GROUPS_CLAIM = env.text("SLIPWAY_OIDC_GROUPS_CLAIM", "groups")
# `group: role` pairs, one a line or separated by semicolons.
SLIPWAY_OIDC_ROLES = env.pairs("SLIPWAY_OIDC_ROLES")
# Roles follow the groups at each sign-in, so this is how long a change may take to be noticed.
SLIPWAY_OIDC_SESSION_SECONDS = env.integer("SLIPWAY_OIDC_SESSION_SECONDS", 8 * 3600, least=1)
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "registry.web.openid.OpenIDBackend",
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SLIPWAY_TLS
# Probes and scrapers come from inside, to the process itself and not through the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if SLIPWAY_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SLIPWAY_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SLIPWAY_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url)) if url else ""


CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        # Browsers that send parts of uploads straight to the bucket.
        "connect-src": [SELF, *filter(None, [env.text("SLIPWAY_S3_BROWSER_ORIGIN")])],
        "object-src": [NONE],
        "base-uri": [SELF],
        # Signing out leads on to the provider.
        "form-action": [SELF, *filter(None, [_origin(SLIPWAY_OIDC_ISSUER)])],
        "frame-ancestors": [NONE],
    }
}

# --- files, time, language ---------------------------------------------------------------------
STATIC_URL = "/static/"
# On one machine files are served straight from the packages; an image names a folder and collects.
STATIC_ROOT = env.text("SLIPWAY_STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20

# --- REST --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.authentication.TokenAuthentication",
        "registry.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["registry.api.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["registry.api.parsing.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "registry.api.rendering.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "controlplane.errors.problem_handler",
}
# Whether a change without If-Match is refused (428).
SLIPWAY_REQUIRE_IF_MATCH = env.flag("SLIPWAY_REQUIRE_IF_MATCH", False)
# Requests per window of so many seconds; 0 turns a limit off. See docs/api.md for how exact they are.
SLIPWAY_RATE_WINDOW = env.integer("SLIPWAY_RATE_WINDOW", 60, least=1)
SLIPWAY_RATE_TOKEN = env.integer("SLIPWAY_RATE_TOKEN", 0 if TESTING else 3000)
SLIPWAY_RATE_ADDRESS = env.integer("SLIPWAY_RATE_ADDRESS", 0 if TESTING else 12_000)
SLIPWAY_RATE_LOGIN = env.integer("SLIPWAY_RATE_LOGIN", 0 if TESTING else 30)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Counters of the limits: shared by all processes when there is a Redis, else one set per process.
    "limits": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": env.text("SLIPWAY_REDIS_URL"),
            "KEY_PREFIX": "slipway-limits",
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        }
        if env.text("SLIPWAY_REDIS_URL")
        else {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "limits",
            "OPTIONS": {"MAX_ENTRIES": 50_000},
        }
    ),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Slipway",
    "DESCRIPTION": "Registry, progressive rollouts and monitoring of ML models.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "controlplane.schema.with_problems",
    ],
}

# --- queue: absent, the `tick` process does the same work in a loop ------------------------------
CELERY_BROKER_URL = env.url("SLIPWAY_REDIS_URL", ("redis", "rediss"))

# --- adapters, by dotted path; checked at start by each app's system checks ----------------------
SLIPWAY_ARTIFACT_STORE = env.text("SLIPWAY_ARTIFACT_STORE", "registry.adapters.filesystem.FilesystemStore")
SLIPWAY_ARTIFACT_FOLDER = Path(env.text("SLIPWAY_ARTIFACT_FOLDER", str(SLIPWAY_HOME / "artifacts")))
SLIPWAY_S3_BUCKET = env.text("SLIPWAY_S3_BUCKET")
SLIPWAY_S3_PREFIX = env.text("SLIPWAY_S3_PREFIX")
# Empty for AWS; the address of any other S3 service. Credentials come the way boto3 finds them.
SLIPWAY_S3_ENDPOINT = env.url("SLIPWAY_S3_ENDPOINT", ("http", "https"))
# Where browsers reach the bucket, such as https://models.s3.eu-central-1.amazonaws.com; the bucket must allow
# PUT from our own origin (CORS). Empty: browsers send their parts through the server.
SLIPWAY_S3_BROWSER_ORIGIN = env.text("SLIPWAY_S3_BROWSER_ORIGIN")
SLIPWAY_MAX_ARTIFACT_MB = env.integer("SLIPWAY_MAX_ARTIFACT_MB", 5 * 1024)
# Every so many hours `intake` applies each model's retention; 0: only by hand and by `apply_retention`.
SLIPWAY_RETENTION_HOURS = env.integer("SLIPWAY_RETENTION_HOURS", 0)
SLIPWAY_METRICS_SOURCE = env.text("SLIPWAY_METRICS_SOURCE", "monitoring.adapters.scrape.ScrapeSource")
SLIPWAY_PROMETHEUS_URL = env.url("SLIPWAY_PROMETHEUS_URL", ("http", "https"))
# Further "name: value" pairs to send with each query.
SLIPWAY_PROMETHEUS_HEADERS = env.pairs("SLIPWAY_PROMETHEUS_HEADERS")
SLIPWAY_PROMETHEUS_AUTH = env.user_and_password("SLIPWAY_PROMETHEUS_AUTH")
SLIPWAY_PROMETHEUS_TOKEN = env.text("SLIPWAY_PROMETHEUS_TOKEN")
SLIPWAY_PROMETHEUS_TENANT = env.text("SLIPWAY_PROMETHEUS_TENANT")
SLIPWAY_PROMETHEUS_VERIFY_TLS = env.flag("SLIPWAY_PROMETHEUS_VERIFY_TLS", True)
# Files: certificates to trust, and this client's own certificate and key.
SLIPWAY_PROMETHEUS_CA = env.text("SLIPWAY_PROMETHEUS_CA")
SLIPWAY_PROMETHEUS_CERTIFICATE = env.text("SLIPWAY_PROMETHEUS_CERTIFICATE")
SLIPWAY_PROMETHEUS_KEY = env.text("SLIPWAY_PROMETHEUS_KEY")
SLIPWAY_PROMETHEUS_TIMEOUT = env.seconds("SLIPWAY_PROMETHEUS_TIMEOUT", 10)
SLIPWAY_PROMETHEUS_RETRIES = env.integer("SLIPWAY_PROMETHEUS_RETRIES", 2)
# A metric that every scrape leaves a sample of; without a recent one nothing is collected. Empty: no check.
SLIPWAY_PROMETHEUS_HEARTBEAT = env.text("SLIPWAY_PROMETHEUS_HEARTBEAT", "up")
SLIPWAY_SCRAPE_INTERVAL = env.seconds("SLIPWAY_SCRAPE_INTERVAL", 1)
# Sampled predictions and labels: how long they are kept, how many of each, and how many may come a second.
SLIPWAY_SAMPLES_KEEP_DAYS = env.integer("SLIPWAY_SAMPLES_KEEP_DAYS", 7, least=1)
SLIPWAY_SAMPLES_MAX = env.integer("SLIPWAY_SAMPLES_MAX", 1_000_000)
SLIPWAY_SAMPLES_PER_SECOND = env.integer("SLIPWAY_SAMPLES_PER_SECOND", 1_000)
# Folders and s3://bucket/prefix where people may have tables scored, and how many jobs run at once.
SLIPWAY_TABLES = env.words("SLIPWAY_TABLES", str(SLIPWAY_HOME / "tables"))
SLIPWAY_SCORING_AT_ONCE = env.integer("SLIPWAY_SCORING_AT_ONCE", 1, least=1)
# Where Kubernetes runs them: the manifest of a Job, as the chart gives it. Empty: Celery workers, or `tick`.
SLIPWAY_SCORING_JOB_FILE = env.text("SLIPWAY_SCORING_JOB_FILE")
# Where workers and `tick` answer /metrics with what they measure of themselves; 0: nowhere.
SLIPWAY_METRICS_PORT = env.integer("SLIPWAY_METRICS_PORT", 0)
# Drift is measured over one interval after the other, and its history kept so long.
SLIPWAY_DRIFT_INTERVAL = env.integer("SLIPWAY_DRIFT_INTERVAL", 3600, least=1)
SLIPWAY_DRIFT_KEEP_DAYS = env.integer("SLIPWAY_DRIFT_KEEP_DAYS", 90, least=1)
SLIPWAY_CLUSTER = env.text("SLIPWAY_CLUSTER", "rollouts.adapters.local.LocalCluster")
SLIPWAY_ROUTER = env.text("SLIPWAY_ROUTER", "rollouts.adapters.local.LocalRouter")
# Further clusters and routers that environments may live in, by name.
SLIPWAY_TARGETS_FILE = env.text("SLIPWAY_TARGETS_FILE")
SLIPWAY_KUBERNETES_FILE = env.text("SLIPWAY_KUBERNETES_FILE", "")
SLIPWAY_GATEWAY_URL = env.url("SLIPWAY_GATEWAY_URL", ("http", "https"), "http://127.0.0.1:8080")
SLIPWAY_TICK_SECONDS = env.seconds("SLIPWAY_TICK_SECONDS", 1)

# --- notices and hooks ---------------------------------------------------------------------------
# Where people reach the pages; links in notices begin with it.
SLIPWAY_PUBLIC_URL = env.text("SLIPWAY_PUBLIC_URL", f"http://127.0.0.1:{SLIPWAY_PORT}").rstrip("/")
SLIPWAY_NOTIFIER = env.text("SLIPWAY_NOTIFIER", "monitoring.adapters.apprise_notifier.AppriseNotifier")
# With a queue of this name, Celery workers on it send the notices; empty: `tick` sends them in threads.
SLIPWAY_NOTICES_QUEUE = env.text("SLIPWAY_NOTICES_QUEUE")
# Networks (CIDR) that notices and hooks may be sent to beside the public internet.
SLIPWAY_OUTBOUND_ALLOW = env.words("SLIPWAY_OUTBOUND_ALLOW")

# --- logs and traces -----------------------------------------------------------------------------
# `line` for people at a terminal, `json` for what collects logs.
SLIPWAY_LOG_FORMAT = env.choice("SLIPWAY_LOG_FORMAT", ("line", "json"))
# A line for each request that was answered.
SLIPWAY_LOG_REQUESTS = env.flag("SLIPWAY_LOG_REQUESTS", SLIPWAY_LOG_FORMAT == "json")
LEVELS = ("info", "debug", "warning", "error", "critical")
SLIPWAY_TRACES = env.flag("SLIPWAY_TRACES", False)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        **({"json": {"()": "controlplane.logs.JsonLine"}} if SLIPWAY_LOG_FORMAT == "json" else {}),
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": SLIPWAY_LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.choice("SLIPWAY_LOG_LEVEL", LEVELS).upper()},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # Two lines for each tick otherwise.
        "celery": {"level": "WARNING"},
        # Its debug lines hold the paths of requests, and the path of a chat's address is a secret.
        "urllib3": {"level": "INFO"},
    },
}
