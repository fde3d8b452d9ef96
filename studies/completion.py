"""Completes a study with its report, in the transaction that completes the report's operation."""

from operations.models import Operation
from studies.counting import count_trials
from studies.lifecycle import STUDIES, move
from studies.models import Study
from studies.states import StudyStatus
from workers.studies.messages import ReportResult


def complete_report(operation: Operation, result: ReportResult) -> None:
    """Store the verdict. A report of a study that was cancelled or started another report changes nothing."""
    study = Study.objects.select_for_update(of=("self",)).filter(reporter=operation).first()
    if study is None or study.status != StudyStatus.REPORTING:
        return
    count_trials(study)
    move(
        study,
        StudyStatus.COMPLETED,
        STUDIES,
        f"completed with the verdict {result.verdict}",
        report=result.model_dump(mode="json"),
    )
