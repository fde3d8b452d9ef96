"""Data for the overview: health, problems, running operations and throughput."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now, TruncHour
from django.utils import timezone

from operations.listed_results import with_listed_results
from operations.models import Attempt, Operation
from operations.models.operation import LISTED
from operations.presentation.numbers import decimal, integer, sign, signed_percent
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import kind_of, unlisted_types
from operations.runs import ranking
from operations.states import ACTIVE, Status
from registry.models import Sweep, Worker, WorkerStatus

HOURS = 24
LANES = 40
RECENT = timedelta(hours=24)
WEEK = timedelta(days=7)
NEWEST_END = F("completed_at").desc(nulls_last=True)
"""The order of the index `operation_newest_end`."""


@dataclass(frozen=True, slots=True)
class Health:
    """State of the system. Ages are seconds by the database's clock; None means never."""

    sweep_age: float | None
    last_sweep: datetime | None
    sweep_summary: dict[str, object]
    workers: dict[str, int]
    """counts of available, busy, unavailable, cordoned and all (total) workers"""

    @property
    def worker_summary(self) -> str:
        """For example `3 idle, 1 busy, 1 unavailable`."""
        if not self.workers["total"]:
            return "none registered"
        parts = [f"{self.workers['available']} idle", f"{self.workers['busy']} busy"]
        parts += [
            f"{self.workers[name]} {name}" for name in ("unavailable", "cordoned") if self.workers[name]
        ]
        return ", ".join(parts)


def health() -> Health:
    sweep = (
        Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__isnull=False)
        .annotate(age=Now() - F("completed_at"))
        .order_by("-completed_at")
        .first()
    )
    return Health(
        sweep_age=sweep.age.total_seconds() if sweep else None,
        last_sweep=sweep.completed_at if sweep else None,
        sweep_summary=sweep.summary if sweep else {},
        workers=worker_counts(),
    )


def worker_counts() -> dict[str, int]:
    return Worker.objects.aggregate(
        available=Count("pk", filter=Q(status=WorkerStatus.AVAILABLE)),
        busy=Count("pk", filter=Q(status=WorkerStatus.BUSY)),
        unavailable=Count("pk", filter=Q(status=WorkerStatus.TEMPORARILY_UNAVAILABLE)),
        cordoned=Count("pk", filter=Q(cordoned=True)),
        total=Count("pk"),
    )


@dataclass(frozen=True, slots=True)
class Queue:
    pending: int
    oldest: datetime | None


def queue() -> Queue:
    counts = Operation.objects.filter(status=Status.PENDING).aggregate(
        pending=Count("pk"), oldest=Min("created_at")
    )
    return Queue(counts["pending"], counts["oldest"])


def running(limit: int = 12) -> QuerySet[Operation]:
    return _for_lists(Operation.objects.filter(status__in=ACTIVE)).order_by("started_at", "created_at")[
        :limit
    ]


def pending(limit: int = 6) -> QuerySet[Operation]:
    """Return the first pending operations in the order of the queue; users take turns at it."""
    return _for_lists(Operation.objects.filter(status=Status.PENDING)).order_by("rank")[:limit]


def failed_recently(limit: int = 6) -> QuerySet[Operation]:
    """Return failures of the last day that nobody has dismissed, archived or cloned since."""
    run_again = Operation.objects.filter(cloned_from=OuterRef("pk"))
    return _for_lists(
        Operation.objects.filter(
            LISTED, status=Status.FAILED, completed_at__gt=Now() - RECENT, dismissed_at__isnull=True
        ).exclude(Exists(run_again))
    ).order_by(NEWEST_END)[:limit]


def list_stalled(limit: int = 6) -> QuerySet[Operation]:
    """Return running operations whose jobs report nothing, the longest silence first."""
    silent = Attempt.objects.filter(ended_at__isnull=True, silent_since__isnull=False).order_by(
        "silent_since"
    )
    return _for_lists(Operation.objects.filter(pk__in=silent.values("operation")[:limit])).annotate(
        silent_since=Subquery(silent.filter(operation=OuterRef("pk")).values("silent_since")[:1])
    )


def troubled_workers(limit: int = 6) -> QuerySet[Worker]:
    return Worker.objects.filter(
        Q(status=WorkerStatus.TEMPORARILY_UNAVAILABLE) | Q(health_check_failures__gt=0)
    ).order_by("unavailable_since", "worker_id")[:limit]


def finished_recently(limit: int = 8) -> QuerySet[Operation]:
    ended = Operation.objects.filter(LISTED, status__in=[Status.COMPLETED, Status.CANCELLED])
    return _for_lists(ended).order_by(NEWEST_END)[:limit]


@dataclass(frozen=True, slots=True)
class Best:
    """A run of the last week with its rank among them."""

    operation: Operation
    about: str
    cells: list[tuple[str, str, str]]
    """(name, text, CSS class) of each figure"""
    curve: list[float]
    curve_label: str


def best_of_the_week(limit: int = 5) -> list[Best]:
    """Return the runs with the highest Sharpe ratio that completed within a week."""
    rows = ranking.runs(Operation.objects.filter(LISTED, completed_at__gt=Now() - WEEK))
    keys = ranking.sort(rows.filter(run_metrics__sharpe__isnull=False), "-sharpe").values_list(
        "pk", flat=True
    )
    operations = ranking.load(list(keys[:limit]))
    strategies = strategies_of_models(operations)
    return [_best(operation, subject(operation, strategies)) for operation in operations]


def _best(operation: Operation, about: str) -> Best:
    metrics, kind = operation.run_metrics, kind_of(operation.operation_type)
    cells = [("Sharpe", decimal(metrics.sharpe), "")]
    if metrics.total_return is not None:
        cells.append(("return", signed_percent(metrics.total_return), sign(metrics.total_return)))
    if metrics.trades is not None:
        cells.append(("trades", integer(metrics.trades), ""))
    return Best(operation, about, cells, metrics.curve, f"{kind.curve_name} of {operation.pk}")


def _for_lists(operations: QuerySet[Operation]) -> QuerySet[Operation]:
    kept = operations.exclude(operation_type__in=unlisted_types())
    return with_listed_results(kept).select_related("created_by").defer("error_traceback")


@dataclass(frozen=True, slots=True)
class Throughput:
    completed: list[int]
    """per hour, the newest last"""
    failed: int

    @property
    def total(self) -> int:
        return sum(self.completed)


def throughput() -> Throughput:
    since = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    rows = (
        Operation.objects.filter(completed_at__gte=since)
        .annotate(hour=TruncHour("completed_at"))
        .values("hour")
        .annotate(
            completed=Count("pk", filter=Q(status=Status.COMPLETED)),
            failed=Count("pk", filter=Q(status=Status.FAILED)),
        )
    )
    by_hour = {row["hour"]: row for row in rows}
    hours = [since + timedelta(hours=index) for index in range(HOURS)]
    return Throughput(
        completed=[by_hour[hour]["completed"] if hour in by_hour else 0 for hour in hours],
        failed=sum(row["failed"] for row in by_hour.values()),
    )


@dataclass(frozen=True, slots=True)
class Lane:
    worker_id: str
    blocks: list[tuple[float, float, str, str]]
    """start and end as shares of the span, outcome, title"""


def lanes(span: timedelta = timedelta(hours=1)) -> list[Lane]:
    """Return the attempts of each worker within the last `span`, for at most LANES of the busiest workers."""
    now = timezone.now()
    begin = now - span
    attempts = (
        Attempt.objects.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=begin), claimed_at__gt=begin - span)
        .select_related("operation")
        .only("worker_id", "claimed_at", "ended_at", "outcome", "number", "operation__operation_type")
        .order_by("claimed_at")[:2000]
    )
    by_worker: dict[str, list[tuple[float, float, str, str]]] = {}
    for attempt in attempts:
        start = max((attempt.claimed_at - begin) / span, 0.0)
        end = ((attempt.ended_at or now) - begin) / span
        title = f"{attempt.operation.operation_type} {attempt.operation_id}: {attempt.outcome or 'running'}"
        block = (start, end, attempt.outcome or "running", title)
        by_worker.setdefault(attempt.worker_id, []).append(block)
    idle = Worker.objects.exclude(worker_id__in=by_worker).values_list("worker_id", flat=True)[:LANES]
    rows = [Lane(worker_id, blocks) for worker_id, blocks in by_worker.items()]
    rows += [Lane(worker_id, []) for worker_id in idle]
    busiest = sorted(rows, key=lambda row: -sum(end - start for start, end, _, _ in row.blocks))[:LANES]
    return sorted(busiest, key=lambda row: row.worker_id)
