"""The metrics of `/metrics`, read from database rows, so that all web processes report the same."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, F, Max, Sum
from django.db.models.functions import Coalesce, Now
from django_q.models import Task
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from operations import dispatch_pauses, statistics
from operations.dispatching import heartbeat
from operations.models import Attempt, Operation, StoredFile
from registry.models import Sweep, Worker

HISTOGRAMS = (
    (
        "ktrdr_submit_to_start_seconds",
        "From submission to the first start, without operations that waited for others",
        ("operation_type",),
        statistics.start_delays(),
    ),
    (
        "ktrdr_dispatch_duration_seconds",
        "From the claim of a worker to its acceptance",
        ("operation_type",),
        statistics.dispatch_durations(),
    ),
    (
        "ktrdr_attempt_duration_seconds",
        "From a worker's acceptance of an attempt to its end",
        ("operation_type", "outcome"),
        statistics.attempt_durations(),
    ),
)


class _Rows(Collector):
    def collect(self) -> Iterator[Metric]:
        yield _workers()
        yield _sick_workers()
        yield from _dispatch_pause()
        yield _operations()
        yield from _queue()
        yield _stalled_operations()
        yield from _histograms()
        yield _refused_reports()
        yield from _sweeps()
        yield from _dispatchers()
        yield from _task_cluster()
        yield from _storage()


def metric_registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows())
    return registry


def _gauge(
    name: str, meaning: str, labels: Iterable[str], values: Iterable[tuple[list[str], float]]
) -> Metric:
    metric = GaugeMetricFamily(name, meaning, labels=tuple(labels))
    for names, value in values:
        metric.add_metric(names, value)
    return metric


def _workers() -> Metric:
    counts = Worker.objects.order_by().values_list("worker_type", "status", "cordoned")
    return _gauge(
        "ktrdr_workers",
        "Registered workers",
        ["worker_type", "status", "cordoned"],
        (
            ([worker_type, status, str(cordoned).lower()], number)
            for worker_type, status, cordoned, number in counts.annotate(number=Count("*"))
        ),
    )


def _sick_workers() -> Metric:
    sick = Worker.objects.filter(sickness__gt=0).order_by().values_list("worker_type")
    return _gauge(
        "ktrdr_sick_workers",
        "Workers that were cordoned automatically and have completed nothing since",
        ["worker_type"],
        (([worker_type], number) for worker_type, number in sick.annotate(number=Count("*"))),
    )


def _dispatch_pause() -> Iterator[Metric]:
    pause = dispatch_pauses.current()
    yield _gauge(
        "ktrdr_dispatch_paused",
        "1 while dispatching is paused for maintenance",
        [],
        [([], float(pause is not None))],
    )
    is_read_only = float(pause is not None and pause.read_only)
    yield _gauge("ktrdr_read_only", "1 while the site refuses every change", [], [([], is_read_only)])


def _operations() -> Metric:
    counts = Operation.objects.order_by().values_list("operation_type", "status").annotate(number=Count("*"))
    return _gauge(
        "ktrdr_operations",
        "Operations",
        ["operation_type", "status"],
        (([operation_type, status], number) for operation_type, status, number in counts),
    )


def _queue() -> Iterator[Metric]:
    waiting = statistics.queue_lengths()
    yield _gauge(
        "ktrdr_queue_operations",
        "Waiting operations: ready for a worker, or held by others that they wait for or by their backoff",
        ["operation_type", "state"],
        (([group.operation_type, "ready" if group.ready else "held"], group.operations) for group in waiting),
    )
    yield _gauge(
        "ktrdr_queue_oldest_seconds",
        "How long the oldest ready operation has waited for a worker",
        ["operation_type"],
        (([group.operation_type], group.longest_s) for group in waiting if group.ready),
    )


def _stalled_operations() -> Metric:
    stalled = Attempt.objects.filter(ended_at__isnull=True, silent_since__isnull=False)
    counts = stalled.order_by().values_list("operation__operation_type").annotate(number=Count("*"))
    return _gauge(
        "ktrdr_stalled_operations",
        "Running operations whose jobs report no progress, metric or log line",
        ["operation_type"],
        (([operation_type], number) for operation_type, number in counts),
    )


def _histograms() -> Iterator[Metric]:
    for name, meaning, labels, histogram in HISTOGRAMS:
        metric = HistogramMetricFamily(name, meaning, labels=labels)
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        for values, distribution in sorted(histogram.read().items()):
            buckets = list(zip(bounds, map(float, distribution.cumulative()), strict=True))
            metric.add_metric(values, buckets=buckets, sum_value=distribution.total_s)
        yield metric


def _refused_reports() -> Metric:
    metric = CounterMetricFamily(
        "ktrdr_refused_reports", "Reports and checkpoints of attempts that no longer count", labels=["reason"]
    )
    for reason, number in sorted(statistics.refused_reports().items()):
        metric.add_metric([reason], number)
    return metric


def _sweeps() -> Iterator[Metric]:
    newest = (
        Sweep.objects.filter(completed_at__isnull=False)
        .order_by("kind", "-completed_at")
        .distinct("kind")
        .annotate(age=Now() - F("completed_at"), took=F("completed_at") - F("started_at"))
        .values_list("kind", "age", "took")
    )
    rows_by_kind = [(kind, _seconds(age), _seconds(took)) for kind, age, took in newest]
    yield _gauge(
        "ktrdr_sweep_age_seconds",
        "Since the last completed sweep",
        ["kind"],
        (([kind], age) for kind, age, _ in rows_by_kind),
    )
    yield _gauge(
        "ktrdr_sweep_duration_seconds",
        "How long the last completed sweep took",
        ["kind"],
        (([kind], took) for kind, _, took in rows_by_kind),
    )


def _seconds(span: timedelta) -> float:
    """Return an age in seconds, never negative even if another clock was ahead."""
    return max(0.0, span.total_seconds())


def _dispatchers() -> Iterator[Metric]:
    silences = heartbeat.silences_s()
    alive = sum(silence < heartbeat.SILENT_AFTER_S for silence in silences)
    yield _gauge("ktrdr_dispatchers", "Dispatchers that recently completed a round", [], [([], alive)])
    yield _gauge(
        "ktrdr_dispatcher_heartbeat_age_seconds",
        "Since the last sign of life of the most recently active dispatcher",
        [],
        (([], silence) for silence in silences[:1]),
    )


def _task_cluster() -> Iterator[Metric]:
    age = Task.objects.filter(success=True).aggregate(age=Now() - Max("stopped"))["age"]
    yield _gauge(
        "ktrdr_task_cluster_age_seconds",
        "Since the task cluster last finished a task",
        [],
        [] if age is None else [([], _seconds(age))],
    )


def _storage() -> Iterator[Metric]:
    total = StoredFile.objects.aggregate(total=Coalesce(Sum("size"), 0))["total"]
    yield _gauge("ktrdr_stored_bytes", "Size of the stored artifacts", [], [([], float(total))])
    disk = shutil.disk_usage(settings.DATA_DIR)
    yield _gauge(
        "ktrdr_data_directory_free_bytes",
        "Free space on the disk of the data directory",
        [],
        [([], disk.free)],
    )
    yield _gauge(
        "ktrdr_data_directory_size_bytes", "Size of the disk of the data directory", [], [([], disk.total)]
    )
