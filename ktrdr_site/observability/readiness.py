"""Whether the parts behind the web server work: each check returns the problem, or None."""

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from operations import dispatch_pauses
from operations.dispatching.heartbeat import dispatchers_alive
from registry import health

STALE_AFTER_SWEEPS = 3


def unapplied_migrations() -> str | None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(missing)} not applied; run manage.py migrate" if missing else None


def stale_sweep() -> str | None:
    if dispatch_pauses.is_read_only():  # no sweep is due
        return None
    age = health.age_s()
    if age is None:
        return "no health sweep has completed yet; is manage.py run_schedules running?"
    if age > STALE_AFTER_SWEEPS * settings.HEALTH_INTERVAL_S:
        return f"the last health sweep completed {age:.0f} s ago; is manage.py run_schedules running?"
    return None


def missing_dispatcher() -> str | None:
    return None if dispatchers_alive() else "no dispatcher is alive; is manage.py run_dispatcher running?"
