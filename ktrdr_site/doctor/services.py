"""The processes beside the web server: schedules with their task cluster, and dispatchers."""

from collections.abc import Iterator

from django.conf import settings
from django_q.models import Schedule, Task

from ktrdr_site.doctor.finding import Finding, problem, warning
from operations import dispatch_pauses
from operations.dispatching.heartbeat import dispatchers_alive
from registry import health
from registry.schedules import PAUSED

LATE_AFTER = 3
"""Intervals of the health sweep."""
REMEDIES = {
    "registry.tasks.health_sweep": "Run manage.py check_workers to see the whole error.",
    "registry.tasks.registry_cleanup": "Run manage.py cleanup to see the whole error.",
    "operations.tasks.deliver_notifications": "Check the log of manage.py run_schedules; notifications wait until it works.",
    "operations.tasks.submit_scheduled": "Check the log of manage.py run_schedules; scheduled submissions wait until it works.",
}
"""Remedy by chore, for all of them."""


def schedules() -> Iterator[Finding]:
    age = health.age_s()
    limit = LATE_AFTER * settings.HEALTH_INTERVAL_S
    if (age is None or age > limit) and not dispatch_pauses.is_read_only():
        state = "has never completed" if age is None else f"completed {age:.0f} s ago"
        yield problem(
            "schedules",
            f"The last health sweep {state}; lost workers are not detected.",
            "Start manage.py run_schedules, or check its log.",
        )
    missing = REMEDIES.keys() - set(Schedule.objects.values_list("func", flat=True))
    if age is not None and missing:
        yield problem(
            "schedules",
            f"The schedule of {', '.join(sorted(missing))} was deleted.",
            "Restart manage.py run_schedules, which creates it again.",
        )
    for name in Schedule.objects.filter(repeats=PAUSED).order_by("name").values_list("name", flat=True):
        yield warning(
            "schedules",
            f"The schedule {name} is paused.",
            "Continue it in the administration, under Scheduled tasks.",
        )
    for function, remedy in REMEDIES.items():
        newest = Task.objects.filter(func=function).order_by("-stopped").first()
        if newest is not None and not newest.success:
            error = " ".join(str(newest.result).split())[:300].rstrip(".")
            yield problem("schedules", f"The last run of {function} failed: {error}.", remedy)


def dispatcher() -> Iterator[Finding]:
    if pause := dispatch_pauses.current():
        yield warning(
            "dispatcher",
            f"{dispatch_pauses.explain(pause)}.",
            "Run manage.py resume_dispatching to end the pause.",
        )
    if not dispatchers_alive():
        yield problem(
            "dispatcher",
            "No dispatcher is running; operations wait in the queue even if workers are free.",
            "Start manage.py run_dispatcher, or check its log.",
        )
