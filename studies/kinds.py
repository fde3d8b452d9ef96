"""The operation kinds of studies: batches of trials and the report about them. Studies submit them, not people."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ValidationError

from access.problems import invalid
from operations.headline import Headline
from operations.kind import Kind, ResultUnusable
from operations.models import Operation
from operations.presentation import stored_reports
from operations.presentation.charts import thin
from operations.presentation.numbers import dig, short
from operations.requests import GenericRequest, Submission
from operations.runs.recording import MAX_POINTS
from studies.completion import complete_report
from studies.finalists import close_batch
from studies.results import take_results
from worker_agent.protocol import Report
from worker_agent.validation_messages import first_problem
from workers.studies.messages import REPORT_FILE, BatchParameters, BatchResult, ReportParameters, ReportResult


class _StudyKind(Kind):
    is_part: ClassVar = True
    submit_path: ClassVar = "/studies"

    def build_generic(self, request: GenericRequest) -> Submission:
        raise invalid("/operation_type", f"Studies submit {self.operation_type}: use POST /studies.")

    def deletion_refusal(self, operation: Operation) -> str:
        return (
            "The operation belongs to a study, whose trials and report it produced; it stays with the study."
        )


class StudyBatchKind(_StudyKind):
    operation_type = "study_batch"
    worker_type: ClassVar = "backtesting"
    parameters_model: ClassVar = BatchParameters
    result_model: ClassVar = BatchResult
    title = "Study batch"

    def complete(self, operation: Operation, report: Report) -> None:
        take_results(operation, report.result)

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        numbers = result.get("number")
        return Headline("trials", short(len(numbers))) if isinstance(numbers, list) else None


class StudyTrainingBatchKind(StudyBatchKind):
    operation_type = "study_training_batch"
    worker_type: ClassVar = "training"
    title = "Study training batch"


class StudyFinalistKind(_StudyKind):
    operation_type = "study_finalist"
    worker_type: ClassVar = "training"
    title = "Study finalist"

    def complete(self, operation: Operation, report: Report) -> None:
        close_batch(operation, report)

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        sharpe = result.get("holdout_sharpe")
        return Headline("holdout Sharpe", short(sharpe)) if sharpe is not None else None


class StudyReportKind(_StudyKind):
    operation_type = "study_report"
    worker_type: ClassVar = "backtesting"
    parameters_model: ClassVar = ReportParameters
    result_model: ClassVar = ReportResult
    title = "Study report"
    is_run: ClassVar = True
    curve_name: ClassVar = "Growth of the winner"

    def complete(self, operation: Operation, report: Report) -> None:
        try:
            result = ReportResult.model_validate(report.result or {})
        except ValidationError as error:
            raise ResultUnusable(f"result.{first_problem(error)}") from error
        if all(artifact.name != REPORT_FILE for artifact in report.artifacts):
            raise ResultUnusable(f"the artifact {REPORT_FILE} is missing")
        complete_report(operation, result)

    def headline(self, result: Mapping[str, Any]) -> Headline | None:
        verdict = result.get("verdict")
        return Headline("verdict", str(verdict)) if verdict else None

    def run_metrics(self, operation: Operation) -> dict[str, Any]:
        """Return the figures of the winner, by which studies are ranked beside trainings and backtests."""
        return dict((operation.result or {}).get("figures") or {})

    def run_curve(self, operation: Operation) -> list[float]:
        try:
            curves = stored_reports.read(operation).get("curves")
        except stored_reports.ReportUnavailableError:
            return []
        growth = dig(curves[0], "growth") if isinstance(curves, list) and curves else None
        return [round(value, 5) for value in thin(growth, MAX_POINTS)] if isinstance(growth, list) else []


KINDS = (StudyBatchKind(), StudyTrainingBatchKind(), StudyFinalistKind(), StudyReportKind())
