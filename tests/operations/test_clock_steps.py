"""The database's clock is set an hour ahead or back. As a real step would, all rows are moved in the other direction."""

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models import F
from django.db.models.functions import Now
from django_q.models import OrmQ, Schedule

from ktrdr_site.observability import readiness
from operations import interruptions, setbacks
from operations.actors import Actor
from operations.dispatching import follow_ups
from operations.models import Attempt, Operation
from operations.tasks import PERIODIC_TASKS
from registry import health, health_checks, schedules, sweeps
from registry.endpoint import Endpoint
from registry.models import Sweep, Worker
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory
from worker_agent.protocol import AgentState, Health

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
HOURS = pytest.mark.parametrize("hours", [-1, 1], ids=["an hour ahead", "an hour back"])


def step(hours: int) -> None:
    """Move the times of all rows by `hours`: a clock that is set back makes them lie in the future."""
    for model in apps.get_models():
        if model._meta.app_label not in ("operations", "registry", "django_q"):
            continue
        times = [field.name for field in model._meta.local_fields if isinstance(field, models.DateTimeField)]
        if times and model is not OrmQ:
            model._default_manager.update(**{name: F(name) + timedelta(hours=hours) for name in times})


@pytest.fixture
def idle_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker answers that it is idle."""

    class Client:
        def __init__(self, **options: Any) -> None:
            return

        async def __aenter__(self) -> "Client":
            return self

        async def __aexit__(self, *error: object) -> None:
            return

        async def health(self, worker: Endpoint) -> Health:
            return Health(status=AgentState.IDLE, worker_id=worker.worker_id, instance_id=worker.instance_id)

    monkeypatch.setattr(health_checks, "WorkerClient", Client)


@HOURS
def test_the_next_sweep_is_queued_at_once(hours: int) -> None:
    schedules.ensure_schedules(PERIODIC_TASKS)
    schedules.queue_due(PERIODIC_TASKS)
    assert schedules.queue_due(PERIODIC_TASKS) == []
    step(hours)
    assert schedules.HEALTH_SWEEP in schedules.queue_due(PERIODIC_TASKS)
    assert all(
        row.next_run < row.next_run.now(row.next_run.tzinfo) + timedelta(minutes=6)
        for row in Schedule.objects.all()
    )


@HOURS
def test_readiness_tells_that_no_sweep_is_proven_until_the_next_one(hours: int, idle_workers: None) -> None:
    assert health.sweep() is not None
    assert readiness.stale_sweep() is None
    step(hours)
    assert "3600 s ago" in str(readiness.stale_sweep())
    assert sweeps.were_interrupted()
    assert health.sweep() is not None
    assert readiness.stale_sweep() is None
    assert not sweeps.were_interrupted()
    sweeps.prune()
    assert readiness.stale_sweep() is None, "the newest row stays"


@HOURS
def test_what_waits_for_its_moment_is_claimed_after_the_next_sweep(hours: int, idle_workers: None) -> None:
    assert health.sweep() is not None
    WorkerFactory()
    operation = OperationFactory()
    assert claim_next(ME) is not None
    interruptions.reject(operation.pk, 1, ME, "busy")
    setbacks.set_aside(operation.pk, KeyError("x"))
    Operation.objects.update(not_before=Now() + timedelta(seconds=1))
    step(hours)
    assert health.sweep() is not None
    Operation.objects.filter(not_before__lt=Now() + timedelta(seconds=2)).update(not_before=Now())
    assert claim_next(ME) is not None


@HOURS
def test_a_worker_is_followed_up_after_the_next_sweep(hours: int, idle_workers: None) -> None:
    assert health.sweep() is not None
    WorkerFactory()
    operation = OperationFactory()
    assert claim_next(ME) is not None
    step(hours)
    assert health.sweep() is not None
    (follow_up,) = follow_ups.lease_due()
    assert follow_up.operation_id == operation.pk


@HOURS
def test_a_worker_that_is_gone_loses_its_operation_no_later_than_usual(hours: int, settings: Any) -> None:
    worker = WorkerFactory(endpoint_url="http://127.0.0.1:9")
    OperationFactory()
    assert claim_next(ME) is not None
    for _ in range(settings.HEALTH_FAILURES):
        assert health.sweep() is not None
    step(hours)
    for _ in range(2):
        assert health.sweep() is not None
    since = Worker.objects.get(pk=worker.pk).unavailable_since
    assert since is not None
    assert Worker.objects.filter(unavailable_since__lte=Now()).exists(), "the hour does not delay the loss"
    Worker.objects.update(unavailable_since=Now() - timedelta(seconds=settings.LOST_AFTER_S + 1))
    assert health.sweep() is not None
    assert not Attempt.objects.filter(ended_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_a_sweep_that_froze_is_replaced(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session holds the lock; it is ended, so that the frozen process can write nothing when it thaws."""
    import psycopg

    skipped = ("cursor_factory", "context", "prepare_threshold")
    parameters = {
        name: value for name, value in connection.get_connection_params().items() if name not in skipped
    }
    frozen = psycopg.connect(**parameters, autocommit=True)
    frozen.execute("SELECT pg_advisory_lock(%s)", [sweeps.LOCKS[Sweep.Kind.HEALTH]])
    with sweeps.exclusive(Sweep.Kind.HEALTH) as acquired:
        assert not acquired, "it works, as far as anybody can know"
    monkeypatch.setattr(sweeps, "_max_silence_s", lambda kind: 0.0)
    results = []
    for _ in range(2):
        with sweeps.exclusive(Sweep.Kind.HEALTH) as acquired:
            results.append(acquired)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
    assert results == [False, True]
    with pytest.raises(psycopg.OperationalError):
        frozen.execute("SELECT 1")
    frozen.close()
