from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import conditional_page

from dashboard.pages import overview as reading
from dashboard.pages.operation_rows import describe
from dashboard.views.request import PageRequest, page
from operations.dispatching.heartbeat import dispatchers_alive
from operations.presentation.numbers import duration

STALE_AFTER_SWEEPS = 3
SHARED_FOR_S = 1.5
"""However many people look, the live part is made once in this time."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the system and whether it is as it should be."""

    name: str
    is_good: bool
    value: str
    note: str


@page
@conditional_page
def overview(request: PageRequest) -> HttpResponse:
    """The landing page; htmx asks for its live part alone, and gets 304 where nothing changed."""
    live = cache.get_or_set("overview-live", _live, SHARED_FOR_S)
    if request.htmx:
        return HttpResponse(live)
    return render(request, "overview.html", {"live": live})


def _live() -> str:
    health = reading.health()
    return render_to_string(
        "overview_live.html",
        {
            "parts": _parts(health),
            "health": health,
            "queue": reading.queue(),
            "throughput": reading.throughput(),
            "failed": describe(reading.failed_recently()),
            "waiting": describe(reading.waiting()),
            "troubled": list(reading.troubled_workers()),
            "running": describe(reading.running()),
            "finished": describe(reading.finished_recently()),
            "lanes": reading.lanes(),
        },
    )


def _parts(health: reading.Health) -> list[Part]:
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
            "Running" if dispatchers else "Silent",
            "gives out work" if dispatchers else "is manage.py run_dispatcher running?",
        ),
        Part(
            "Last health sweep",
            is_fresh,
            age,
            "on time" if is_fresh else "is manage.py run_schedules running?",
        ),
    ]
