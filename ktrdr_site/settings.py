"""Settings of the control plane, from the environment or `.env`. All of them have defaults."""

from pathlib import Path

import environ

from ktrdr_site import environment, site_secrets
from ktrdr_site.observability import logs

BASE_DIR = Path(__file__).resolve().parent.parent
if (BASE_DIR / ".env").is_file():
    environ.Env.read_env(BASE_DIR / ".env")

DATA_DIR = environment.data_directory("KTRDR_DATA_DIR", BASE_DIR / "var")
SECRET_KEY = site_secrets.secret_key("KTRDR_SECRET_KEY", DATA_DIR / "secret-key")
SECRET_KEY_FALLBACKS = site_secrets.former_keys("KTRDR_SECRET_KEY_FALLBACKS")
DEBUG = environment.flag("KTRDR_DEBUG")
ALLOWED_HOSTS = environment.words("KTRDR_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = environment.origins("KTRDR_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "ktrdr_site.web.admin_app.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "django_htmx",
    "template_partials",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "django_otp.plugins.otp_totp",
    "django_q",
    "access",
    "registry",
    "operations",
    "operations.kinds.training",
    "operations.kinds.backtesting",
    "operations.kinds.data_import",
    "operations.kinds.data_preview",
    "operations.kinds.strategy_preview",
    "strategies",
    "studies",
    "dashboard",
    "ktrdr_site",
]

MIDDLEWARE = [
    "ktrdr_site.web.to_https.ToHttpsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "ktrdr_site.web.page_compression.CompressPagesMiddleware",
    "ktrdr_site.web.response_headers.ResponseHeadersMiddleware",
    "ktrdr_site.web.impersonal.ImpersonalMiddleware",
    "ktrdr_site.web.programs.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "ktrdr_site.web.programs.AuthenticationMiddleware",
    "ktrdr_site.accounts.session_limits.SessionLimitMiddleware",
    "ktrdr_site.second_factor.enforcement.SecondFactorMiddleware",
    "ktrdr_site.web.read_only.ReadOnlyMiddleware",
    "access.body_limits.BodyLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "ktrdr_site.observability.correlation.CorrelationMiddleware",
    "ktrdr_site.web.programs.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ktrdr_site.web.programs.HtmxMiddleware",
    "dashboard.live_parts.SignInAgainMiddleware",
]

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
                "access.permissions.refusals",
            ]
        },
    }
]

ROOT_URLCONF = "ktrdr_site.urls"
WSGI_APPLICATION = "ktrdr_site.wsgi.application"
APPEND_SLASH = False
PREPARED_STATEMENTS = environment.flag("KTRDR_PREPARED_STATEMENTS", default=True)
DATABASES = {
    "default": environment.database("KTRDR_DATABASE_URL", DATA_DIR, prepares=PREPARED_STATEMENTS),
}
STATEMENT_TIMEOUT_S = environment.seconds("KTRDR_STATEMENT_TIMEOUT_S", 30)
LOCK_TIMEOUT_S = environment.seconds("KTRDR_LOCK_TIMEOUT_S", 10)
IDLE_TRANSACTION_TIMEOUT_S = environment.seconds("KTRDR_IDLE_TRANSACTION_TIMEOUT_S", 60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
FORMAT_MODULE_PATH = "ktrdr_site.formats"
USE_I18N = False  # English only; looking up the language takes a tenth of the time of a long page
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = (
    20_000_000  # bytes; a report may contain 10,000 metric points and as many log lines
)

_VALIDATORS: dict[str, dict[str, int]] = {
    "UserAttributeSimilarityValidator": {},
    "MinimumLengthValidator": {"min_length": 12},
    "CommonPasswordValidator": {},
    "NumericPasswordValidator": {},
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in _VALIDATORS.items()
]
AUTHENTICATION_BACKENDS = ["ktrdr_site.second_factor.backend.PasswordBackend"]
REQUIRE_SECOND_FACTOR = environment.one_of(
    "KTRDR_REQUIRE_SECOND_FACTOR", "off", ("off", "staff", "operator", "viewer")
)
OTP_TOTP_ISSUER = "KTRDR"
OTP_TOTP_SYNC = False  # the window is one step to both sides of the site's clock
OTP_TOTP_THROTTLE_FACTOR = 0  # by access.throttling, whose buckets do not keep the owner out
LOGIN_URL = "login"
SESSION_IDLE_DAYS = environment.days("KTRDR_SESSION_IDLE_DAYS", 3)
SESSION_MAX_DAYS = environment.days("KTRDR_SESSION_MAX_DAYS", 14)
SESSION_COOKIE_AGE = max(1, round(SESSION_MAX_DAYS * 86_400))
LOGIN_REDIRECT_URL = "/dashboard/"
LOGOUT_REDIRECT_URL = "login"
CSRF_FAILURE_VIEW = "ktrdr_site.web.error_pages.csrf_failure"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
FILE_UPLOAD_PERMISSIONS = None  # by the file mode mask of the process
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "ktrdr_site.web.static_files.Storage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", "png", "jpg", "gif", "webp", "woff", "woff2", "ico", "gz"]

# Plain http is fine on localhost and in a trusted network. With TLS in front, set KTRDR_HTTPS=on.
HTTPS = environment.flag("KTRDR_HTTPS")
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # the redirect to https is ktrdr_site.web.to_https
if not HTTPS:
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W010", "security.W016"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

# django-q2 runs only short idempotent chores (sweeps). They are never retried: `retry` is far above queue time + timeout.
Q_CLUSTER = {
    "name": "ktrdr",
    "orm": "default",
    "workers": 1,
    "timeout": 30,
    "retry": 120,
    "max_attempts": 1,
    "queue_limit": 2,
    "save_limit": 100,
    "poll": 0.5,
    "catch_up": False,
    "scheduler": False,
}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "ktrdr_site.web.openapi_bodies.JsonSchema",
    "EXCEPTION_HANDLER": "access.problems.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "ktrdr_site.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "access.negotiation.Negotiation",
    "DEFAULT_PARSER_CLASSES": [
        "access.json_bodies.BoundedJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.ByRole"],
    "DEFAULT_PAGINATION_CLASS": "access.problems.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "access.browsable.Browsable",
    ],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "KTRDR",
    "DESCRIPTION": "Train and backtest strategies on the workers of a few machines.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "/", "description": "this site"}, {"url": "/api/v1", "description": "the same API"}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {"OperationStatusEnum": "operations.states.Status"},
    "PREPROCESSING_HOOKS": ["ktrdr_site.web.openapi.root_paths_only"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "ktrdr_site.web.openapi_operations.with_kinds",
        "ktrdr_site.web.openapi_operations.with_chosen_fields",
        "ktrdr_site.web.openapi.with_limits",
        "ktrdr_site.web.openapi.with_refusals",
        "ktrdr_site.web.openapi.with_links",
    ],
}

LOG_FORMAT = environment.one_of("KTRDR_LOG_FORMAT", "console", ("console", "json"))
LOGGING_CONFIG = None  # Django would configure it again in each forked process, in 2 MB of its memory
logs.configure(logs.logging_settings(LOG_FORMAT))
DJANGO_STRUCTLOG_USER_ID_FIELD = "pk"

WORKER_TOKEN = site_secrets.worker_token("KTRDR_WORKER_TOKEN", DATA_DIR / "worker-token")
TRUST_NETWORK = environment.flag("KTRDR_TRUST_NETWORK")
WORKER_NETWORKS = environment.networks(
    "KTRDR_WORKER_NETWORKS",
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
)
WORKER_CA = environment.certificates("KTRDR_WORKER_CA")
HOOK_NETWORKS = environment.networks("KTRDR_HOOK_NETWORKS", [])
PUBLIC_URL = environment.web_address("KTRDR_PUBLIC_URL")
EMAIL_CONFIGURED = bool(environment.text("KTRDR_EMAIL_URL"))
vars().update(environment.email("KTRDR_EMAIL_URL"))
DEFAULT_FROM_EMAIL = environment.text("KTRDR_EMAIL_FROM", "ktrdr@localhost")
EMAIL_TIMEOUT = 5  # seconds
TRUSTED_PROXIES = environment.networks("KTRDR_TRUSTED_PROXIES", [])
HEALTH_INTERVAL_S = environment.seconds("KTRDR_HEALTH_INTERVAL_S", 10)
HEALTH_TIMEOUT_S = environment.seconds("KTRDR_HEALTH_TIMEOUT_S", 5)
HEALTH_FAILURES = environment.count("KTRDR_HEALTH_FAILURES", 3)
LOST_AFTER_S = environment.seconds("KTRDR_LOST_AFTER_S", 60)
REMOVAL_AFTER_S = environment.seconds("KTRDR_REMOVAL_AFTER_S", 300)
CLEANUP_INTERVAL_S = environment.seconds("KTRDR_CLEANUP_INTERVAL_S", 300)
WRITABLE_CACHE_S = SCHEMAS_CACHE_S = 1.0
PROGRESS_CACHE_S = environment.seconds("KTRDR_PROGRESS_CACHE_S", 1)
CANCEL_GRACE_S = environment.seconds("KTRDR_CANCEL_GRACE_S", 10)
MAX_ATTEMPTS = environment.count("KTRDR_MAX_ATTEMPTS", 3)
MAX_RUNNING_PER_USER = environment.limit("KTRDR_MAX_RUNNING_PER_USER", 0)
MAX_PENDING_PER_USER = environment.limit("KTRDR_MAX_PENDING_PER_USER", 200_000)
MAX_UPLOAD_MB_PER_USER = environment.limit("KTRDR_MAX_UPLOAD_MB_PER_USER", 5_000)
RETRY_BACKOFF_S = environment.seconds("KTRDR_RETRY_BACKOFF_S", 10)
TIMEOUT_S = environment.seconds_by_type("KTRDR_TIMEOUT_S")
EXPIRES_AFTER_S = environment.seconds_by_type("KTRDR_EXPIRES_AFTER_S")
STALLED_AFTER_S = environment.seconds("KTRDR_STALLED_AFTER_S", 900)
END_STALLED_AFTER_S = environment.seconds_or_none("KTRDR_END_STALLED_AFTER_S")
SICK_PAUSE_S = environment.seconds("KTRDR_SICK_PAUSE_S", 60)
DELETED_RETENTION_DAYS = environment.days("KTRDR_DELETED_RETENTION_DAYS", 7)
UPLOAD_RETENTION_DAYS = environment.days("KTRDR_UPLOAD_RETENTION_DAYS", 30)
ARTIFACT_RETENTION_DAYS = environment.days("KTRDR_ARTIFACT_RETENTION_DAYS", 1)
ARTIFACT_STORE = environment.artifact_store("KTRDR_ARTIFACT_STORE")
