"""The nurseries of `up` and the code that each imports: that of the servers of the site, and that of the workers."""

from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import import_string

from ktrdr_site.processes.nursery import Nursery
from ktrdr_site.stack.services import Plan, environment_without_secrets

SITE = (
    "gunicorn.app.wsgiapp",
    "ktrdr_site.gunicorn_log",
    "ktrdr_site.management.commands.run_schedules",
    "ktrdr_site.web.buffered_worker",
    "operations.management.commands.run_dispatcher",
    "studies.management.commands.run_studies",
    "django_q.cluster",
    "django_q.management.commands.qcluster",
)
"""Not `ktrdr_site.wsgi`: when it is imported, it bounds the statements of its own process."""
WORKERS = ("worker_agent.base", "worker_agent.job.forking.server", "workers.backtest", "workers.training")
"""Agents and the fork server, which loads the libraries of jobs later."""


def load_site() -> None:
    """Import all views and middleware."""
    get_resolver().url_patterns  # noqa: B018
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
            workers = Nursery.start_program(WORKERS, environment_without_secrets(), settings.BASE_DIR)
        return cls(Nursery.start(SITE, load_site), workers)

    def close(self) -> None:
        for nursery in (self.site, self.workers):
            if nursery is not None:
                nursery.close()
