"""`run_studies`: one of several processes leads; each second, and when something changes, every live study advances."""

import time
from dataclasses import dataclass, field

import structlog
from django.db.models import Count, Q

from access.isolation import isolated
from access.problems import Busy, Invalid
from operations import dispatch_pauses
from operations.states import Status
from registry import leases
from studies import failures, lifecycle
from studies.advancing import advance
from studies.batching import Room, count_workers
from studies.models import Study, StudyBatch
from studies.planning import OPERATION_TYPES
from studies.proposing import Proposer, new_proposer
from studies.states import WORKING, StudyStatus
from workers.studies.conditions import BadCondition

log = structlog.get_logger(__name__)
LEASE = "studies"
LEASE_S = 8.0
"""A leader that has not renewed its lease for this long is replaced."""
MAX_SETBACKS = 5
LONGEST_BACKOFF_S = 30.0
KEPT_PROPOSERS = 64
UNFINISHED = (Status.PENDING, Status.DISPATCHING, Status.RUNNING)
"""Operations that can still be cancelled."""


@dataclass(slots=True)
class Setback:
    """Unexpected errors in a row of one study, and when it is tried again (by the monotonic clock)."""

    errors: int = 0
    until: float = 0.0


@dataclass(slots=True)
class Leader:
    """The process that holds the lease advances the studies, the others wait for its end. All state is in the database."""

    holder: str = field(default_factory=leases.new_holder)
    leads: bool = False
    proposers: dict[int, Proposer] = field(default_factory=dict)
    setbacks: dict[int, Setback] = field(default_factory=dict)

    def tick(self) -> bool:
        """Advance every live study once; return whether more is due at once."""
        leads = leases.acquire(LEASE, self.holder, LEASE_S)
        if leads != self.leads:
            log.info("leading the studies" if leads else "lost the lead of the studies to another process")
            self.proposers.clear()
        self.leads = leads
        return self._advance_all() if leads and not dispatch_pauses.is_read_only() else False

    def stop(self) -> None:
        """Leave the lead to another process at once."""
        if self.leads:
            leases.release(LEASE, self.holder)

    def _advance_all(self) -> bool:
        rows = list(
            Study.objects.filter(status__in=WORKING)
            .annotate(open_batches=Count("batches", filter=Q(batches__is_open=True)))
            # Studies share the workers: the one with the fewest batches comes first.
            .order_by("open_batches", "pk")
        )
        workers = {name: count_workers(name) for name in {OPERATION_TYPES[row.kind] for row in rows}}
        is_more = False
        for row in rows:
            operation_type = OPERATION_TYPES[row.kind]
            sharing = sum(OPERATION_TYPES[other.kind] == operation_type for other in rows)
            room = Room(workers[operation_type], sharing)
            is_more = self._advance(row, room) or is_more
        self._cancel_rest()
        return is_more

    def _advance(self, row: Study, room: Room) -> bool:
        setback = self.setbacks.get(row.pk)
        if setback is not None and time.monotonic() < setback.until:
            return False
        is_more = False
        with isolated("advancing a study", study_id=row.study_id) as unit:
            is_more = self._try_to_advance(row, room)
        if unit.error is None:
            self.setbacks.pop(row.pk, None)
            return is_more
        # The memory of a proposer may be ahead of the rows that were rolled back.
        self.proposers.pop(row.pk, None)
        self._set_back(row, unit.error)
        return False

    def _try_to_advance(self, row: Study, room: Room) -> bool:
        try:
            if row.status == StudyStatus.RUNNING:
                failures.resume_killed(row)
            return advance(row.pk, room, self._proposer)
        except (Busy, Invalid) as problem:
            lifecycle.note_waiting(row.study_id, str(problem.detail))
        except BadCondition as error:
            lifecycle.fail(row.study_id, str(error))
        # The step was rolled back: the memory of a proposer may be ahead of the rows.
        self.proposers.pop(row.pk, None)
        return False

    def _proposer(self, study: Study) -> Proposer:
        if study.pk not in self.proposers:
            if len(self.proposers) >= KEPT_PROPOSERS:
                self.proposers.clear()
            self.proposers[study.pk] = new_proposer(study)
        return self.proposers[study.pk]

    def _set_back(self, row: Study, error: Exception) -> None:
        """Pause a study that raises again and again: its next step would raise without end."""
        setback = self.setbacks.setdefault(row.pk, Setback())
        setback.errors += 1
        setback.until = time.monotonic() + min(2.0**setback.errors, LONGEST_BACKOFF_S)
        if setback.errors < MAX_SETBACKS:
            return
        del self.setbacks[row.pk]
        with isolated("pausing a study", study_id=row.study_id):
            reason = f"An unexpected error of the backend: {type(error).__name__}: {error}"
            lifecycle.pause(row.study_id, lifecycle.STUDIES, reason[: lifecycle.MAX_REASON])

    def _cancel_rest(self) -> None:
        """Cancel what a study left that ended while its last batch was being submitted, or whose process died then."""
        ended = Study.objects.filter(status__in=(StudyStatus.CANCELLED, StudyStatus.FAILED))
        batches = StudyBatch.objects.filter(is_open=True, operation__status__in=UNFINISHED)
        left = Q(pk__in=batches.values("study")) | Q(reporter__status__in=UNFINISHED)
        for study in ended.filter(left):
            with isolated("cancelling the operations of a study", atomic=False, study_id=study.study_id):
                lifecycle.cancel_operations(study, lifecycle.STUDIES)
