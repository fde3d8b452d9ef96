"""Settings of the control plane, from the environment or `.env`. Runs at once with nothing set."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DATA_DIR = Path(env.str("KTRDR_DATA_DIR", default="var")).resolve()
SECRET_KEY = env.str("KTRDR_SECRET_KEY", default="replaced-by-the-site-engineer")
DEBUG = env.bool("KTRDR_DEBUG", default=False)
ALLOWED_HOSTS = env.list("KTRDR_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "django.contrib.admin",
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
    "django_q",
    "registry",
    "operations",
    "ktrdr_site",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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
            ]
        },
    }
]

ROOT_URLCONF = "ktrdr_site.urls"
WSGI_APPLICATION = "ktrdr_site.wsgi.application"
DATABASES = {"default": env.db_url("KTRDR_DATABASE_URL")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/dashboard/"

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

# django-q2 carries only short idempotent chores (sweeps): never retried, and `retry` far above queue time + timeout.
Q_CLUSTER = {
    "name": "ktrdr",
    "orm": "default",
    "workers": 2,
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
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "ktrdr_site.rest.problem",
    "DEFAULT_AUTHENTICATION_CLASSES": ["ktrdr_site.rest.TokenAuthentication", "rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SPECTACULAR_SETTINGS = {"TITLE": "KTRDR", "VERSION": "1", "OAS_VERSION": "3.1.0", "SERVE_INCLUDE_SCHEMA": False}

WORKER_TOKEN = env.str("KTRDR_WORKER_TOKEN", default="")
WORKER_NETWORKS = env.list(
    "KTRDR_WORKER_NETWORKS",
    default=["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
)
HEALTH_INTERVAL_S = env.float("KTRDR_HEALTH_INTERVAL_S", default=10)
HEALTH_TIMEOUT_S = env.float("KTRDR_HEALTH_TIMEOUT_S", default=5)
HEALTH_FAILURES = env.int("KTRDR_HEALTH_FAILURES", default=3)
LOST_AFTER_S = env.float("KTRDR_LOST_AFTER_S", default=60)
REMOVAL_AFTER_S = env.float("KTRDR_REMOVAL_AFTER_S", default=300)
CLEANUP_INTERVAL_S = env.float("KTRDR_CLEANUP_INTERVAL_S", default=300)
PROGRESS_CACHE_S = env.float("KTRDR_PROGRESS_CACHE_S", default=1)
CANCEL_GRACE_S = env.float("KTRDR_CANCEL_GRACE_S", default=10)
MAX_ATTEMPTS = env.int("KTRDR_MAX_ATTEMPTS", default=3)
RETRY_BACKOFF_S = env.float("KTRDR_RETRY_BACKOFF_S", default=10)
ARTIFACT_RETENTION_DAYS = env.float("KTRDR_ARTIFACT_RETENTION_DAYS", default=1)
