"""The figures of `/metrics`, from the rows themselves: every web process says the same."""

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

from operations import statistics
from operations.dispatching import heartbeat
from operations.models import Operation, StoredFile
from registry.models import Sweep, Worker

HISTOGRAMS = (
    (
        "ktrdr_submit_to_start_seconds",
        "From submission to the first start, without operations that were to wait for others",
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
        yield _operations()
        yield from _queue()
        yield from _histograms()
        yield _refused_reports()
        yield from _sweeps()
        yield from _dispatchers()
        yield from _task_cluster()
        yield from _storage()


def figures() -> CollectorRegistry:
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
    found = Worker.objects.order_by().values_list("worker_type", "status", "cordoned")
    return _gauge(
        "ktrdr_workers",
        "Registered workers",
        ["worker_type", "status", "cordoned"],
        (
            ([worker_type, status, str(cordoned).lower()], number)
            for worker_type, status, cordoned, number in found.annotate(number=Count("*"))
        ),
    )


def _operations() -> Metric:
    found = Operation.objects.order_by().values_list("operation_type", "status").annotate(number=Count("*"))
    return _gauge(
        "ktrdr_operations",
        "Operations there are",
        ["operation_type", "status"],
        (([operation_type, status], number) for operation_type, status, number in found),
    )


def _queue() -> Iterator[Metric]:
    waiting = statistics.queue_lengths()
    yield _gauge(
        "ktrdr_queue_operations",
        "Operations that wait: ready for a worker, or held by what they wait for or by their backoff",
        ["operation_type", "state"],
        (([one.operation_type, "ready" if one.ready else "held"], one.operations) for one in waiting),
    )
    yield _gauge(
        "ktrdr_queue_oldest_seconds",
        "How long the first ready operation has waited for a worker",
        ["operation_type"],
        (([one.operation_type], one.longest_s) for one in waiting if one.ready),
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
        "ktrdr_refused_reports", "Reports and checkpoints of attempts that count no more", labels=["reason"]
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
    found = [(kind, _seconds(age), _seconds(took)) for kind, age, took in newest]
    yield _gauge(
        "ktrdr_sweep_age_seconds",
        "Since the last completed sweep",
        ["kind"],
        (([kind], age) for kind, age, _ in found),
    )
    yield _gauge(
        "ktrdr_sweep_duration_seconds",
        "How long the last completed sweep took",
        ["kind"],
        (([kind], took) for kind, _, took in found),
    )


def _seconds(span: timedelta) -> float:
    """An age; another clock may have been ahead."""
    return max(0.0, span.total_seconds())


def _dispatchers() -> Iterator[Metric]:
    silences = heartbeat.silences_s()
    alive = sum(silence < heartbeat.SILENT_AFTER_S for silence in silences)
    yield _gauge("ktrdr_dispatchers", "Dispatchers that made a round lately", [], [([], alive)])
    yield _gauge(
        "ktrdr_dispatcher_heartbeat_age_seconds",
        "Since the liveliest dispatcher's last sign of life",
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
    yield _gauge("ktrdr_stored_bytes", "Files kept as artifacts", [], [([], float(total))])
    disk = shutil.disk_usage(settings.DATA_DIR)
    yield _gauge(
        "ktrdr_data_directory_free_bytes", "Room left where artifacts are kept", [], [([], disk.free)]
    )
    yield _gauge(
        "ktrdr_data_directory_size_bytes", "Size of the disk where artifacts are kept", [], [([], disk.total)]
    )
