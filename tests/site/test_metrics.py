"""`/metrics` of the backend: every metric is correct, comes from the rows, and stays cheap."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import AutoField, F, Model
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import Task
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from ktrdr_site.observability import prometheus
from operations import interruptions, interventions, reports, statistics
from operations.actors import Actor
from operations.models import Attempt, Event, Operation
from registry.models import Sweep
from tests.calibration import stretched
from tests.claiming import claim_next, start_next
from tests.factories import (
    AttemptFactory,
    CapabilityFactory,
    OperationFactory,
    StoredFileFactory,
    WorkerFactory,
)
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
QUERIES = 16
"""Queries per scrape, the caller's token included, for any number of rows."""


@pytest.fixture(autouse=True)
def _fresh_histograms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Histograms add up in a process; each test has rows of its own."""
    fresh = (statistics.start_delays, statistics.dispatch_durations, statistics.attempt_durations)
    histograms = tuple(
        (*entry[:3], create()) for entry, create in zip(prometheus.HISTOGRAMS, fresh, strict=True)
    )
    monkeypatch.setattr(prometheus, "HISTOGRAMS", histograms)
    return


def scrape(api: APIClient) -> dict[str, Metric]:
    response = api.get("/metrics")
    assert response.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(response.content.decode())}


def value(families: dict[str, Metric], sample: str, **labels: str) -> float:
    values = [
        candidate.value
        for family in families.values()
        for candidate in family.samples
        if candidate.name == sample and candidate.labels == labels
    ]
    assert len(values) == 1, (sample, labels, values)
    return values[0]


def running(**fields: object) -> Operation:
    operation = OperationFactory(**fields)
    WorkerFactory()
    start_next(ME)
    operation.refresh_from_db()
    return operation


def complete(seconds: float, ago: float = 0.0) -> None:
    """Add an operation that completed `ago` seconds ago and took `seconds`."""
    operation = running()
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    reports.apply(operation.pk, operation.worker_id, report)
    ended = Now() - timedelta(seconds=ago)
    Attempt.objects.filter(operation=operation).update(
        ended_at=ended,
        started_at=ended - timedelta(seconds=seconds),
        claimed_at=ended - timedelta(seconds=seconds + 0.2),
    )
    Operation.objects.filter(pk=operation.pk).update(created_at=ended - timedelta(seconds=seconds + 3))


def test_workers_and_operations_are_counted_by_type_and_status(api: APIClient) -> None:
    running()
    OperationFactory(operation_type="other")
    WorkerFactory(cordoned=True)
    families = scrape(api)
    assert value(families, "ktrdr_workers", worker_type="echo", status="BUSY", cordoned="false") == 1
    assert value(families, "ktrdr_workers", worker_type="echo", status="AVAILABLE", cordoned="true") == 1
    assert value(families, "ktrdr_operations", operation_type="echo", status="RUNNING") == 1
    assert value(families, "ktrdr_operations", operation_type="other", status="PENDING") == 1


def test_the_queue_separates_operations_without_a_worker_from_those_that_wait_for_others(
    api: APIClient,
) -> None:
    hour = timezone.now() - timedelta(hours=1)
    first = OperationFactory(created_at=hour)
    OperationFactory(created_at=hour, after=[first])
    OperationFactory(created_at=hour, not_before=timezone.now() + timedelta(hours=1))
    families = scrape(api)
    assert value(families, "ktrdr_queue_operations", operation_type="echo", state="ready") == 1
    assert value(families, "ktrdr_queue_operations", operation_type="echo", state="held") == 2
    assert 3600 <= value(families, "ktrdr_queue_oldest_seconds", operation_type="echo") < 3700


def test_an_operation_that_became_ready_late_has_not_waited_since_its_submission(api: APIClient) -> None:
    hour = timezone.now() - timedelta(hours=1)
    awaited = running(created_at=hour)
    follower = OperationFactory(created_at=hour, after=[awaited])
    reports.apply(
        awaited.pk, awaited.worker_id,
        Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={}),
    )  # fmt: skip
    assert value(scrape(api), "ktrdr_queue_oldest_seconds", operation_type="echo") < 60
    interventions.cancel(follower.pk, ME)
    lost = running(created_at=hour)
    interruptions.mark_lost(lost.pk, 1, ME, "gone")
    Operation.objects.filter(pk=lost.pk).update(not_before=None, operation_type="lost")
    assert value(scrape(api), "ktrdr_queue_oldest_seconds", operation_type="lost") < 60


def test_durations_are_histograms_by_type_and_outcome(api: APIClient) -> None:
    complete(0.5)
    complete(20)
    complete(100_000)
    families = scrape(api)
    labels = {"operation_type": "echo", "outcome": "completed"}
    assert families["ktrdr_attempt_duration_seconds"].type == "histogram"
    buckets = {
        le: value(families, "ktrdr_attempt_duration_seconds_bucket", le=le, **labels)
        for le in ("0.1", "1.0", "15.0", "60.0", "43200.0", "+Inf")
    }
    assert buckets == {"0.1": 0, "1.0": 1, "15.0": 1, "60.0": 2, "43200.0": 2, "+Inf": 3}
    assert value(families, "ktrdr_attempt_duration_seconds_count", **labels) == 3
    assert value(families, "ktrdr_attempt_duration_seconds_sum", **labels) == pytest.approx(
        100_020.5, abs=0.1
    )


def test_the_time_from_submission_to_start_is_measured_in_total_and_from_the_claim(api: APIClient) -> None:
    complete(10)
    families = scrape(api)
    total = value(families, "ktrdr_submit_to_start_seconds_sum", operation_type="echo")
    claimed = value(families, "ktrdr_dispatch_duration_seconds_sum", operation_type="echo")
    assert (total, claimed) == (pytest.approx(3, abs=0.1), pytest.approx(0.2, abs=0.1))


def test_a_second_start_and_a_wait_for_others_do_not_count_as_delay(api: APIClient) -> None:
    operation = running()
    interruptions.mark_lost(operation.pk, 1, ME, "gone")
    Operation.objects.filter(pk=operation.pk).update(not_before=None)
    WorkerFactory()
    start_next(ME)
    waits = running()
    waits.after.set([operation])
    assert value(scrape(api), "ktrdr_submit_to_start_seconds_count", operation_type="echo") == 1


def test_old_rows_are_read_once_and_keep_counting(
    api: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    labels = {"operation_type": "echo", "outcome": "completed"}
    complete(1, ago=1000)
    complete(1, ago=5)
    assert value(scrape(api), "ktrdr_attempt_duration_seconds_count", **labels) == 2
    assert value(scrape(api), "ktrdr_attempt_duration_seconds_count", **labels) == 2, "no row counts twice"
    Attempt.objects.filter(ended_at__lt=Now() - timedelta(seconds=900)).update(
        ended_at=F("ended_at") - timedelta(days=1)
    )
    complete(1)
    assert value(scrape(api), "ktrdr_attempt_duration_seconds_count", **labels) == 3
    fresh = statistics.attempt_durations()
    assert sum(fresh.read()["echo", "completed"].buckets) == 3, "the same as reading all rows"


def test_refused_reports_are_counted_by_their_reason(api: APIClient) -> None:
    operation = running()
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={})
    reports.apply(operation.pk, "somebody-else", report)
    reports.apply(operation.pk, operation.worker_id, report)
    reports.apply(operation.pk, operation.worker_id, report.model_copy(update={"result": {"other": 1}}))
    families = scrape(api)
    assert value(families, "ktrdr_refused_reports_total", reason="foreign") == 1
    assert value(families, "ktrdr_refused_reports_total", reason="ended") == 1
    assert Event.objects.filter(kind="refused_report").count() == 2
    lost = running()
    interruptions.mark_lost(lost.pk, 1, ME, "gone")
    Operation.objects.filter(pk=lost.pk).update(not_before=None)
    WorkerFactory()
    claim_next(ME)
    reports.apply(lost.pk, lost.worker_id, report)
    assert value(scrape(api), "ktrdr_refused_reports_total", reason="superseded") == 1


def test_schedules_dispatcher_and_disk_have_metrics(api: APIClient) -> None:
    families = scrape(api)
    assert value(families, "ktrdr_dispatchers") == 0
    assert families["ktrdr_dispatcher_heartbeat_age_seconds"].samples == [], "unknown, not zero"
    assert families["ktrdr_task_cluster_age_seconds"].samples == []
    now = timezone.now()
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now() - timedelta(seconds=300))
    Sweep.objects.create(
        kind=Sweep.Kind.HEALTH,
        started_at=Now() - timedelta(seconds=9),
        completed_at=Now() - timedelta(seconds=7),
    )
    Task.objects.create(
        id="a" * 32, name="sweep", func="f", started=now, stopped=now - timedelta(seconds=4), success=True
    )
    StoredFileFactory(size=123)
    families = scrape(api)
    assert 7 <= value(families, "ktrdr_sweep_age_seconds", kind="health") < 7 + stretched(13)
    assert value(families, "ktrdr_sweep_duration_seconds", kind="health") == pytest.approx(2, abs=0.1)
    assert 4 <= value(families, "ktrdr_task_cluster_age_seconds") < 4 + stretched(16)
    assert value(families, "ktrdr_stored_bytes") == 123
    free, size = (value(families, f"ktrdr_data_directory_{name}_bytes") for name in ("free", "size"))
    assert 0 < free < size


def multiply(model: type[Model], times: int) -> None:
    """Copy every row, with the rows that belong to it: copies of an operation have its id and a number."""
    columns = [
        field.column
        for field in model._meta.concrete_fields
        if not field.generated and not isinstance(field, AutoField)
    ]
    values = [f"{name} || '-' || copy" if name == "operation_id" else name for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(values)}"
            f" FROM {model._meta.db_table}, generate_series(1, {times}) copy"
        )


def test_ten_thousand_operations_and_two_hundred_workers_cost_as_many_queries_and_little_time(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    WorkerFactory.create_batch(200)
    for kind in ("one", "two", "three", "four"):
        CapabilityFactory(operation_type=kind, worker_type="echo")
        for _ in range(9):
            operation = OperationFactory(operation_type=kind, status="COMPLETED", completed_at=timezone.now())
            now = timezone.now()
            AttemptFactory(operation=operation, outcome="completed", started_at=now, ended_at=now)
        OperationFactory(operation_type=kind)
    Event.objects.bulk_create(
        Event(operation=operation, kind="status", to_status="PENDING", actor="user:test")
        for operation in Operation.objects.all()
    )
    for model in (Operation, Attempt, Event):
        multiply(model, 249)
    assert Operation.objects.count() == Event.objects.count() == 10_000
    with connection.cursor() as cursor:  # as autovacuum does after a commit
        cursor.execute("ANALYZE operations_operation, operations_attempt, operations_event, registry_worker")
    with django_assert_num_queries(QUERIES):
        api.get("/metrics")
    best = min(_seconds(api) for _ in range(3))
    print(f"a scrape of 10,000 operations and 200 workers: {best:.3f} s")
    assert best < stretched(1.0)


def _seconds(api: APIClient) -> float:
    started = time.perf_counter()
    assert api.get("/metrics").status_code == 200
    return time.perf_counter() - started
