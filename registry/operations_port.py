"""The registry's port to operations: the room above installs its implementation when the site starts.

The registry knows workers but not operations, so it asks here what a change to a worker means for its operations.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.kept_reports import UnreadableReport
from registry.models import Worker, WorkerStatus
from worker_agent.protocol import Health, Registration, RunningOperation


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result of reconciling a registration: the worker's status and what it must do."""

    status: WorkerStatus
    stop_operations: tuple[RunningOperation, ...] = ()
    acknowledged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerHistory:
    current_operation_id: str | None = None
    completed: int = 0
    failed: int = 0


class OperationsPort(Protocol):
    """Everything the registry needs to know about operations."""

    def reconcile_registration(
        self, worker: Worker, registration: Registration, unreadable: Sequence[UnreadableReport]
    ) -> Reconciliation:
        """Apply the worker's kept reports, end the attempts of its old process, and decide what it must stop.

        An unreadable report fails its operation. Nothing that a report or an operation contains raises.
        """

    def reconcile_health(self, answers: Mapping[str, Health]) -> dict[str, list[RunningOperation]]:
        """Return, for each worker that responded, the attempts that it runs and must stop."""

    def built_in_types(self) -> Mapping[str, str]:
        """Return the operation types of the product itself -> the type of the workers that run them."""

    def mark_lost(self, workers: Mapping[str, str], reason: str) -> int:
        """End the active attempts of these workers (worker id -> instance id); return how many."""

    def mark_interrupted(self, workers: Mapping[str, str], reason: str) -> int:
        """As `mark_lost`, for workers that leave as planned: no attempt is used up."""

    def interrupt_unregistered(self) -> int:
        """End the active attempts of workers that are not registered; return how many."""

    def active_workers(self, worker_ids: Collection[str]) -> set[str]:
        """Return those of the workers that have an active attempt."""

    def histories(self, worker_ids: Sequence[str]) -> dict[str, WorkerHistory]:
        """Return the current operation and the counts of each worker, for lists."""

    def on_worker_removed(self, worker_id: str, instance_id: str, reason: str) -> None:
        """Handle the removal of a worker that did not come back. Called in the transaction of the removal."""

    def repair_timestamps(self) -> int:
        """Set the operations' timestamps that lie too far in the future to now; return how many rows were repaired."""

    def cleanup_parts(self) -> Mapping[str, Callable[[], int]]:
        """Return the operations' parts of the cleanup: the name of a count in the summary -> a function that returns it."""

    def cleanup_counts(self) -> Mapping[str, Callable[[], int]]:
        """Return what counts, under the same names, what the parts would remove; without the rows that only keep books."""


class _Installed:
    port: OperationsPort | None = None


def install(port: OperationsPort) -> None:
    _Installed.port = port


def operations() -> OperationsPort:
    assert _Installed.port is not None, "no OperationsPort has been installed"
    return _Installed.port
