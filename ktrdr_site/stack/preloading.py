"""What the nursery of `up` imports: the code of web server, dispatcher, schedules, studies and task cluster."""

from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import import_string

MODULES = (
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "ktrdr_site.gunicorn_log",
    "ktrdr_site.management.commands.run_schedules",
    "operations.management.commands.run_dispatcher",
    "studies.management.commands.run_studies",
    "django_q.cluster",
    "django_q.management.commands.qcluster",
)
"""Not `ktrdr_site.wsgi`: when it is imported, it bounds the statements of its own process."""


def load_site() -> None:
    """Import all views and middleware."""
    get_resolver().url_patterns  # noqa: B018
    for name in settings.MIDDLEWARE:
        import_string(name)
