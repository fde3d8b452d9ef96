"""Data for the worker pages beyond the registry's row: current work, history and load."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from operations.models import Attempt, Operation
from operations.models.attempt import AttemptOutcome
from registry.models import Worker

RECENT = ("CPU", "Memory", "GPU")


@dataclass(frozen=True, slots=True)
class WorkerRow:
    worker: Worker
    operation: Operation | None
    """currently running"""
    completed: int
    failed: int

    @property
    def loads(self) -> list["Recent"]:
        return recent_loads(self.worker)

    @property
    def machine(self) -> str:
        """Cores and memory, as far as the worker reports them."""
        cores, memory = map(self.worker.capabilities.get, ("cores", "memory_gb"))
        return ", ".join([f"{cores} cores"] * bool(cores) + [f"{memory} GB"] * bool(memory))


def worker_rows(workers: list[Worker]) -> list[WorkerRow]:
    """Build the rows with two queries for any number of workers."""
    ids = [worker.worker_id for worker in workers]
    active = {
        attempt.worker_id: attempt.operation
        for attempt in Attempt.objects.filter(worker_id__in=ids, ended_at__isnull=True)
        .select_related("operation")
        .only("worker_id", "operation__operation_type", "operation__status", "operation__progress")
    }
    counts = {row["worker_id"]: row for row in _outcomes(ids)}
    no_attempts = {"completed": 0, "failed": 0}
    return [
        WorkerRow(
            worker,
            active.get(worker.worker_id),
            counts.get(worker.worker_id, no_attempts)["completed"],
            counts.get(worker.worker_id, no_attempts)["failed"],
        )
        for worker in workers
    ]


def _outcomes(worker_ids: list[str]) -> Any:
    return (
        Attempt.objects.filter(worker_id__in=worker_ids)
        .values("worker_id")
        .annotate(
            completed=Count("pk", filter=Q(outcome=AttemptOutcome.COMPLETED)),
            failed=Count("pk", filter=Q(outcome__in=[AttemptOutcome.FAILED, AttemptOutcome.LOST])),
        )
        .order_by()
    )


def history(worker_id: str, limit: int = 50) -> list[Attempt]:
    """Return attempts on this worker, newest first; they outlive the worker."""
    return list(
        Attempt.objects.filter(worker_id=worker_id)
        .select_related("operation")
        .defer("operation__error_traceback", "operation__result")
        .order_by("-claimed_at")[:limit]
    )


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    share: float
    """0 to 1"""
    text: str


@dataclass(frozen=True, slots=True)
class Recent:
    """One resource in the last health checks, in percent."""

    name: str
    text: str
    values: list[float | None]


def recent_loads(worker: Worker) -> list[Recent]:
    """Return the resources that the newest health check reported, each with its recent values."""
    rows = [row for row in worker.load_history if isinstance(row, list) and len(row) == len(RECENT)]
    columns = [[row[position] for row in rows] for position in range(len(RECENT))]
    return [
        Recent(name, f"{values[-1]:.0f} %", values)
        for name, values in zip(RECENT, columns, strict=True)
        if values and values[-1] is not None
    ]


def load(worker: Worker) -> list[Load]:
    """Return the resource usage that the last health check reported."""
    loads = []
    for key, name in (
        ("cpu_percent", "CPU"),
        ("memory_percent", "Memory"),
        ("gpu_percent", "GPU"),
        ("gpu_memory_percent", "GPU memory"),
        ("disk_percent", "Disk"),
    ):
        value = worker.resources.get(key)
        if isinstance(value, int | float):
            loads.append(Load(name, min(max(value / 100, 0.0), 1.0), f"{value:.0f} %"))
    return loads
