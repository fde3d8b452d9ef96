"""A second look at the sealed data of a study: audited, and counted in every later report."""

from access import audit
from access.actors import Actor
from access.conflicts import atomic_with_retries
from access.models import AuditEntry
from studies.lifecycle import WrongState, lock, move
from studies.models import Study
from studies.states import StudyStatus
from studies.submitting import submit_report


@atomic_with_retries
def look_again(study_id: str, actor: Actor) -> Study:
    """Report again on a completed study. Raises WrongState."""
    study = lock(study_id)
    if study.status != StudyStatus.COMPLETED:
        raise WrongState(
            f"Only a COMPLETED study has a holdout to look at again; this one is {study.status}."
        )
    if study.spec["holdout"] is None:
        raise WrongState("The study has no holdout.")
    study.holdout_looks += 1
    operation = submit_report(study)
    looks = study.holdout_looks
    move(
        study,
        StudyStatus.REPORTING,
        actor,
        f"look {looks} at the holdout",
        reporter=operation,
        holdout_looks=looks,
    )
    audit.record(AuditEntry.Act.HOLDOUT_LOOK, f"study {study.study_id}, look {looks}", actor)
    return study
