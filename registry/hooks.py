"""What the registry asks of the room above it, which installs its answers when the site starts.

The registry knows workers, not operations; whoever knows operations says here what they mean for a worker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.models import Worker, WorkerStatus
from worker_agent.protocol import Health, Registration, RunningOperation


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a registration comes to."""

    status: WorkerStatus
    stop_operations: tuple[RunningOperation, ...] = ()
    acknowledged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerHistory:
    current_operation_id: str | None = None
    completed: int = 0
    failed: int = 0


class OperationsSide(Protocol):
    def reconcile_registration(self, worker: Worker, registration: Registration) -> Reconciled:
        """Applies what the worker finished, ends what its old incarnation ran, says what it must stop."""

    def reconcile_health(self, answers: Mapping[str, Health]) -> dict[str, list[RunningOperation]]:
        """For each worker that answered: the attempts that it runs and must stop."""

    def lost(self, workers: Mapping[str, str], reason: str) -> int:
        """Ends the active attempts of these (worker id -> instance id); returns how many."""

    def works(self, worker_id: str) -> bool:
        """Whether the worker has an active attempt."""

    def history(self, worker_ids: Sequence[str]) -> dict[str, WorkerHistory]:
        """Current operation and counts, for lists."""

    def removed(self, worker_id: str, instance_id: str, reason: str) -> None:
        """The worker was taken off the registry because it did not come back; in that transaction."""

    def cleanup(self) -> dict[str, int]:
        """Operations' part of the cleanup; figures for the sweep's summary."""


class _Installed:
    side: OperationsSide | None = None


def install(side: OperationsSide) -> None:
    _Installed.side = side


def operations() -> OperationsSide:
    assert _Installed.side is not None, "no room has installed OperationsSide"
    return _Installed.side
