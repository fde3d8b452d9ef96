"""The figures of `/metrics`, from the rows themselves: no counter in a process that may be one of several."""

from collections.abc import Iterator

from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Coalesce, Extract, Now
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from operations.models import Attempt, Operation, StoredFile
from operations.states import Status
from registry.models import Sweep, Worker


class _Rows(Collector):
    def collect(self) -> Iterator[Metric]:
        yield _workers()
        yield _operations()
        yield _attempts()
        yield _oldest_pending()
        yield _sweep_ages()
        yield _stored_bytes()


def figures() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows())
    return registry


def _workers() -> Metric:
    metric = GaugeMetricFamily(
        "ktrdr_workers", "Registered workers", labels=["worker_type", "status", "cordoned"]
    )
    rows = Worker.objects.order_by().values_list("worker_type", "status", "cordoned")
    for worker_type, status, cordoned, number in rows.annotate(number=Count("*")):
        metric.add_metric([worker_type, status, str(cordoned).lower()], number)
    return metric


def _operations() -> Metric:
    metric = GaugeMetricFamily(
        "ktrdr_operations", "Operations by status", labels=["operation_type", "status"]
    )
    rows = Operation.objects.order_by().values_list("operation_type", "status").annotate(number=Count("*"))
    for operation_type, status, number in rows:
        metric.add_metric([operation_type, status], number)
    return metric


def _attempts() -> Metric:
    metric = CounterMetricFamily("ktrdr_attempts", "Attempts that ended", labels=["outcome"])
    rows = Attempt.objects.order_by().exclude(outcome="").values_list("outcome").annotate(number=Count("*"))
    for outcome, number in rows:
        metric.add_metric([outcome], number)
    return metric


def _oldest_pending() -> Metric:
    pending = Operation.objects.filter(status=Status.PENDING)
    oldest = pending.aggregate(age=Extract(Now() - Min("created_at"), "epoch"))["age"]
    return GaugeMetricFamily(
        "ktrdr_oldest_pending_seconds", "How long the oldest operation has waited", value=float(oldest or 0)
    )


def _sweep_ages() -> Metric:
    metric = GaugeMetricFamily("ktrdr_sweep_age_seconds", "Since the last completed sweep", labels=["kind"])
    rows = Sweep.objects.filter(completed_at__isnull=False).order_by().values_list("kind")
    for kind, age in rows.annotate(age=Extract(Now() - Max("completed_at"), "epoch")):
        metric.add_metric([kind], float(age))
    return metric


def _stored_bytes() -> Metric:
    total = StoredFile.objects.aggregate(total=Coalesce(Sum("size"), 0))["total"]
    return GaugeMetricFamily("ktrdr_stored_bytes", "Files kept as artifacts", value=float(total))
