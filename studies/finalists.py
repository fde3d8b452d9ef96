"""The finalists of a study of trainings: each is tested by an operation of its own before the report.

The report of the other kinds simulates its finalists itself.
"""

from django.db.models import F
from pydantic import ValidationError

from operations.kind import ResultUnusable
from operations.models import Operation
from studies.channel import notify_studies
from studies.models import FINALIST_RUNG, Study, StudyBatch, StudyTrial, TrialState
from worker_agent.protocol import Report
from worker_agent.validation_messages import first_problem
from workers.studies.messages import FINALIST_FILE, FinalistResult
from workers.studies.sections import Finalists


def create_batches(study: Study) -> bool:
    """Create a batch for each finalist that has none; return whether there was one. The study's row is locked."""
    section = study.spec["finalists"]
    is_tested = study.spec["holdout"] or (section and section["validation"])
    if study.kind != "training" or not is_tested:
        return False
    known = set(StudyBatch.objects.filter(study=study, rung=FINALIST_RUNG).values_list("first", flat=True))
    missing = [trial.number for trial in finalists_of(study) if trial.number not in known]
    StudyBatch.objects.bulk_create(
        StudyBatch(study=study, rung=FINALIST_RUNG, first=number, last=number) for number in missing
    )
    return bool(missing)


def finalists_of(study: Study) -> list[StudyTrial]:
    """Return the best completed trials with a value, the best first; of equal ones the lower number."""
    section = study.spec["finalists"]
    count = section["count"] if section else Finalists().count
    rows = study.trials.filter(state=TrialState.COMPLETED, value__isnull=False)
    order = F("value").desc() if study.maximizes else F("value").asc()
    return list(rows.order_by(order, "number")[:count])


def close_batch(operation: Operation, report: Report) -> None:
    """Take the result of a finalist, in the transaction that completes its operation. Raises ResultUnusable."""
    try:
        FinalistResult.model_validate(report.result or {})
    except ValidationError as error:
        raise ResultUnusable(f"result.{first_problem(error)}") from error
    if all(artifact.name != FINALIST_FILE for artifact in report.artifacts):
        raise ResultUnusable(f"the artifact {FINALIST_FILE} is missing")
    if not StudyBatch.objects.filter(operation=operation, is_open=True).update(is_open=False):
        raise ResultUnusable("its finalist belongs to another operation now")
    notify_studies()
