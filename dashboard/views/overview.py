from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import conditional_page

from dashboard.pages import overview as data
from dashboard.pages.first_steps import first_steps
from dashboard.pages.operation_rows import describe
from dashboard.views.decorators import PageRequest, page
from operations.dispatching.heartbeat import dispatchers_alive
from operations.presentation.numbers import duration

STALE_AFTER_SWEEPS = 3
SHARED_FOR_S = 1.5
"""for so long all users share one rendering of the live part"""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the system, and whether it works."""

    name: str
    is_good: bool
    value: str
    note: str


@page
@conditional_page
def overview(request: PageRequest) -> HttpResponse:
    """The landing page. htmx requests only its live part, and gets 304 if nothing changed."""
    live = cache.get_or_set("overview-live", _live, SHARED_FOR_S)
    if request.htmx:
        return HttpResponse(live)
    return render(request, "overview.html", {"live": live})


def _live() -> str:
    health = data.health()
    parts = _parts(health)
    return render_to_string(
        "overview_live.html",
        {
            "first_steps": first_steps(),
            "best": data.best_of_the_week(),
            "parts": parts,
            "is_healthy": all(part.is_good for part in parts)
            and not (health.workers["unavailable"] or health.sweep_summary.get("held_back"))
            and bool(health.workers["total"]),
            "health": health,
            "queue": data.queue(),
            "throughput": data.throughput(),
            "failed": describe(data.failed_recently()),
            "pending": describe(data.pending()),
            "stalled": describe(data.list_stalled()),
            "troubled": list(data.troubled_workers()),
            "running": describe(data.running()),
            "finished": describe(data.finished_recently()),
            "lanes": data.lanes(),
        },
    )


def _parts(health: data.Health) -> list[Part]:
    version = str(connection.cursor().connection.info.server_version)
    dispatchers = dispatchers_alive()
    limit = STALE_AFTER_SWEEPS * settings.HEALTH_INTERVAL_S
    is_fresh = health.sweep_age is not None and health.sweep_age < limit
    age = "never" if health.sweep_age is None else f"{duration(round(health.sweep_age))} ago"
    return [
        Part("Database", True, "Ready", f"PostgreSQL {version[:2]}"),
        Part(
            "Dispatcher",
            dispatchers > 0,
            "Running" if dispatchers else "Not running",
            "assigning work" if dispatchers else "start manage.py run_dispatcher",
        ),
        Part(
            "Last health sweep",
            is_fresh,
            age,
            "on time" if is_fresh else "check that manage.py run_schedules is running",
        ),
    ]
