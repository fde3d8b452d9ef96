"""The processes beside the web server: schedules with their task cluster, and dispatchers."""

from collections.abc import Iterator

from django.conf import settings
from django_q.models import Schedule, Task

from ktrdr_site.doctor.finding import Finding, problem
from operations.dispatching.heartbeat import dispatchers_alive
from registry import health

LATE_AFTER = 3
"""Intervals of the health sweep."""
BY_HAND = {
    "registry.tasks.health_sweep": "Run it by hand to see all of it: manage.py check_workers.",
    "registry.tasks.registry_cleanup": "Run it by hand to see all of it: manage.py cleanup.",
    "operations.tasks.deliver_notifications": "Notifications wait meanwhile; the log of manage.py run_schedules has all of it.",
}
"""Every chore -> what to do when it fails."""


def schedules() -> Iterator[Finding]:
    age = health.age_s()
    limit = LATE_AFTER * settings.HEALTH_INTERVAL_S
    if age is None or age > limit:
        said = "has never completed" if age is None else f"completed {age:.0f} s ago"
        yield problem(
            "schedules",
            f"The last health sweep {said}: lost workers are not noticed.",
            "Start manage.py run_schedules, or look at its log.",
        )
    missing = BY_HAND.keys() - set(Schedule.objects.values_list("func", flat=True))
    if age is not None and missing:
        yield problem(
            "schedules",
            f"The schedule of {', '.join(sorted(missing))} was deleted.",
            "Start manage.py run_schedules again: it makes it anew.",
        )
    for function, remedy in BY_HAND.items():
        newest = Task.objects.filter(func=function).order_by("-stopped").first()
        if newest is not None and not newest.success:
            said = " ".join(str(newest.result).split())[:300].rstrip(".")
            yield problem("schedules", f"{function} failed the last time: {said}.", remedy)


def dispatcher() -> Iterator[Finding]:
    if not dispatchers_alive():
        yield problem(
            "dispatcher",
            "No dispatcher is alive: operations wait in the queue however many workers are free.",
            "Start manage.py run_dispatcher, or look at its log.",
        )
