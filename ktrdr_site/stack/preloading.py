"""The nurseries of `up` and the code that each imports: that of the servers of the site, and that of the workers."""

from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.template.loader import get_template
from django.urls import reverse
from django.utils.module_loading import import_string

from ktrdr_site.processes.nursery import Nursery
from ktrdr_site.stack.services import Plan, environment_without_secrets

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
    "django_q.management.commands.qcluster",
)
"""Not `ktrdr_site.wsgi`: when it is imported, it bounds the statements of its own process."""
WORKERS = ("concurrent.futures.thread", "worker_agent.base", "worker_agent.job.forking.server")
"""Agents and the fork server, which loads the libraries of jobs later."""
ANNOUNCE = "workers.announcements:prepare"
FIRST_PAGE = ("base.html", "registration/login.html")


def load_site() -> None:
    """Import all views and middleware, and do what the first request otherwise does in each process.

    To look up a URL by its name, Django walks all patterns, and so writes to 9 MB of shared memory.
    """
    reverse("login")
    for name in FIRST_PAGE:
        get_template(name)
    for name in settings.MIDDLEWARE:
        import_string(name)


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
