"""The only writer of a study's status. Every change locks the study's row and appends an event in the same transaction.

A transaction locks operations before studies: the report of a batch holds its operation when it reaches the study.
"""

from collections.abc import Iterable
from typing import Any

import structlog
from django.db.models import ExpressionWrapper, F, FloatField, Func
from django.db.models.functions import Coalesce, Now

from access.actors import Actor
from access.conflicts import atomic_with_retries
from operations import interventions
from operations import lifecycle as operation_lifecycle
from operations.models import Operation
from operations.states import FINAL
from studies.channel import notify_studies
from studies.models import Study, StudyEvent
from studies.states import LIVE, TRANSITIONS, WORKING, StudyStatus

log = structlog.get_logger(__name__)
STUDIES = Actor("studies")
MAX_REASON = 500
MAX_EVENT_REASON = 1000


class WrongState(Exception):
    """The study's status does not allow the requested change."""


def lock(study_id: str) -> Study:
    """Return the study with its row locked until the transaction ends. Raises Study.DoesNotExist."""
    return Study.objects.select_for_update(of=("self",)).get(study_id=study_id)


def record(study: Study, actor: Actor, reason: str, source: str = "", target: str = "") -> None:
    """Append an event and log it."""
    StudyEvent.objects.create(
        study=study, actor=actor.label, from_status=source, to_status=target, reason=reason[:MAX_EVENT_REASON]
    )
    log.info("study changed", study_id=study.study_id, status=target or study.status, reason=reason)


def move(study: Study, target: StudyStatus, actor: Actor, reason: str, **changes: Any) -> None:
    """Change the status of the locked study. Raises WrongState."""
    source = StudyStatus(study.status)
    if target not in TRANSITIONS[source]:
        raise WrongState(f"The study is {source}; it cannot become {target}.")
    changes["ended_at"] = None if target in LIVE else Now()
    changes.setdefault("waiting_reason", "")
    if target is StudyStatus.RUNNING:
        changes["running_since"] = Now()
    elif source is StudyStatus.RUNNING:
        changes |= {"running_since": None, "wall_s": wall_s()}
    if Study.objects.filter(pk=study.pk, status=source).update(status=target, **changes) != 1:
        raise WrongState(f"The study has left the status {source}.")
    record(study, actor, reason, source, target)
    study.refresh_from_db()
    notify_studies()


def wall_s() -> Coalesce:
    """Return the expression for the seconds that a study has run so far."""
    since = Func(
        Now() - F("running_since"), function="EXTRACT", template="EXTRACT(epoch FROM %(expressions)s)::float8"
    )
    return Coalesce(
        ExpressionWrapper(F("wall_s") + since, output_field=FloatField()),
        F("wall_s"),
        output_field=FloatField(),
    )


@atomic_with_retries
def pause(study_id: str, actor: Actor, reason: str = "") -> Study:
    """Submit nothing more; batches that have started go on. Raises WrongState."""
    study = lock(study_id)
    if study.status != StudyStatus.RUNNING:
        raise WrongState(f"Only a RUNNING study can be paused; this one is {study.status}.")
    move(
        study, StudyStatus.PAUSED, actor, reason or "paused", waiting_reason=(reason or "paused")[:MAX_REASON]
    )
    return study


@atomic_with_retries
def resume(study_id: str, actor: Actor) -> Study:
    """Continue a paused study; failures before now do not pause it again. Raises WrongState."""
    study = lock(study_id)
    if study.status != StudyStatus.PAUSED:
        raise WrongState(f"Only a PAUSED study can be resumed; this one is {study.status}.")
    move(study, StudyStatus.RUNNING, actor, "resumed", failures_from=study.ended)
    return study


@atomic_with_retries
def fail(study_id: str, reason: str) -> None:
    """End a live study that cannot go on."""
    study = lock(study_id)
    move(study, StudyStatus.FAILED, STUDIES, reason, waiting_reason=reason[:MAX_REASON])


def note_waiting(study_id: str, reason: str) -> None:
    """Show why a study submits nothing now, unless it was paused or ended meanwhile."""
    Study.objects.filter(study_id=study_id, status__in=WORKING).update(waiting_reason=reason[:MAX_REASON])


def cancel(study_id: str, actor: Actor, reason: str = "") -> Study:
    """End a live study and cancel its operations; finished trials are kept. Raises WrongState."""
    study = _end(study_id, actor, reason or "cancelled")
    cancel_operations(study, actor)
    return study


@atomic_with_retries
def _end(study_id: str, actor: Actor, reason: str) -> Study:
    study = lock(study_id)
    if study.status not in LIVE:
        raise WrongState(f"The study has already ended: it is {study.status}.")
    move(study, StudyStatus.CANCELLED, actor, reason)
    return study


def cancel_operations(study: Study, actor: Actor) -> None:
    """Cancel the operations of an ended study, each in its own transaction: operations are locked before studies."""
    for operation_id in live_operations(study):
        try:
            interventions.cancel(operation_id, actor, f"the study {study.study_id} is {study.status}")
        except (operation_lifecycle.WrongState, Operation.DoesNotExist):
            continue  # it ended meanwhile, or has even been deleted


def live_operations(study: Study) -> Iterable[str]:
    """Return the ids of the study's operations that have not ended and are not being cancelled."""
    own = Operation.objects.filter(study_batch__study=study) | Operation.objects.filter(
        pk=study.reporter_id or ""
    )
    return list(own.exclude(status__in=[*FINAL, "CANCELLING"]).order_by("pk").values_list("pk", flat=True))


@atomic_with_retries
def extend(study_id: str, actor: Actor, trials: int = 0, hours: float = 0.0) -> Study:
    """Add trials after the last one, and time to the budget. Raises WrongState."""
    study = lock(study_id)
    if study.status not in (StudyStatus.RUNNING, StudyStatus.PAUSED, StudyStatus.COMPLETED):
        raise WrongState(f"A study that is {study.status} cannot be extended.")
    limit = None if study.hours is None else study.hours + hours
    reason = f"extended by {trials:,} trials and {hours:g} hours"
    Study.objects.filter(pk=study.pk).update(planned=F("planned") + trials, hours=limit)
    if study.status == StudyStatus.COMPLETED:
        move(study, StudyStatus.RUNNING, actor, reason, reporter=None)
    else:
        record(study, actor, reason)
        study.refresh_from_db()
        notify_studies()
    return study
