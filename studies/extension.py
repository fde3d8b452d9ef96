"""Extends a study by trials that its space still has."""

from access.actors import Actor
from access.conflicts import atomic_with_retries
from access.problems import invalid
from studies import lifecycle
from studies.models import Study
from studies.proposing import bound_study
from studies.request import ExtendRequest
from workers.studies.search_section import MAX_TPE_TRIALS, MAX_TRIALS


@atomic_with_retries
def extend(study_id: str, actor: Actor, extension: ExtendRequest) -> Study:
    """Add trials and hours. Raises Invalid if the space has no such trials, WrongState."""
    study = lifecycle.lock(study_id)  # another extension may be under way
    if extension.hours and study.hours is None:
        raise invalid("/hours", "The study has no budget of hours; extend it by trials only.")
    limit = _limit(study) if extension.trials else study.planned
    total = study.planned + extension.trials
    if total > limit:
        detail = f"The study can have at most {limit:,} trials, and this would make {total:,}."
        raise invalid("/trials", detail)
    return lifecycle.extend(study_id, actor, extension.trials, extension.hours)


def _limit(study: Study) -> int:
    search = study.spec["search"]
    if search["method"] in ("grid", "list"):
        size = bound_study(study).space.size
        return study.planned if size is None else size
    return MAX_TPE_TRIALS if search["method"] == "tpe" else MAX_TRIALS
