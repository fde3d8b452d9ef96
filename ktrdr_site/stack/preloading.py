"""The nurseries of `up` and the code that each imports: that of the servers of the site, and that of the workers."""

from dataclasses import dataclass
from typing import Self

from django.apps import apps
from django.conf import settings
from django.core.management import get_commands
from django.db import connection
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from django.template.loader import get_template
from django.urls import reverse
from django.utils.module_loading import import_string

from ktrdr_site.processes.nursery import Nursery
from ktrdr_site.stack.services import Plan, environment_without_secrets
from operations.models import Operation
from registry.models import Worker

SITE = (
    "anyio.streams.tls",
    "django.contrib.messages.storage.fallback",
    "django_q.brokers.orm",
    "gunicorn.app.wsgiapp",
    "ktrdr_site.gunicorn_log",
    "ktrdr_site.management.commands.run_schedules",
    "ktrdr_site.web.buffered_worker",
    "operations.management.commands.run_dispatcher",
    "registry.cleanup",
    "sniffio",
    "studies.management.commands.run_studies",
    "django_q.cluster",
)
"""Not `ktrdr_site.wsgi`: when it is imported, it bounds the statements of its own process."""
WORKERS = ("concurrent.futures.thread", "worker_agent.base", "worker_agent.job.forking.server")
"""Agents and the fork server, which loads the libraries of jobs later."""
ANNOUNCE = "workers.announcements:prepare"
FIRST_PAGE = ("base.html", "registration/login.html")


def load_site() -> None:
    """Import all views and middleware, and do what each process otherwise does at its first request and first queries.

    Most of it fills caches of Django: each process would copy the shared memory in which it looks for their content.
    """
    reverse("login")  # walks the patterns of all URLs
    for name in FIRST_PAGE:
        get_template(name)
    for name in settings.MIDDLEWARE:
        import_string(name)
    get_commands()
    get_adapters_template(settings.USE_TZ, connection.timezone)
    for model in apps.get_models():
        model._meta.get_fields()
    for rows in (Worker.objects.all(), Operation.objects.order_by("created_at")[:1]):
        str(rows.query)


@dataclass(frozen=True, slots=True)
class Nurseries:
    """None where forking is unsafe; `workers` is None without workers, too."""

    site: Nursery | None
    workers: Nursery | None

    @classmethod
    def start(cls, plan: Plan) -> Self:
        """Call it before this process has a thread or a connection."""
        workers = None
        if plan.worker_names:
            environment = environment_without_secrets()
            workers = Nursery.start_program(WORKERS, ANNOUNCE, environment, settings.BASE_DIR)
        return cls(Nursery.start(SITE, load_site), workers)

    def close(self) -> None:
        for nursery in (self.site, self.workers):
            if nursery is not None:
                nursery.close()
