"""Submits a study's work as ordinary operations."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from operations.insertion import Entry, Submitter, insert
from operations.models import Artifact, Operation
from operations.models.operation import new_operation_id
from operations.requests import Queueing, Submission
from studies.lifecycle import STUDIES
from studies.models import Study, StudyBatch, StudyTrial
from studies.planning import OPERATION_TYPES
from workers.studies import messages

REPORT_TYPE = "study_report"


def submit_batch(study: Study, batch: StudyBatch, trials: Iterable[StudyTrial]) -> Operation:
    """Submit the trials of a batch and link the operation to it. Raises Invalid, Busy."""
    parameters = messages.BatchParameters(
        **_data_parameters(study),
        kind=study.kind,
        rung=batch.rung,
        trials=tuple(messages.Trial(number=trial.number, point=trial.parameters) for trial in trials),
    )
    operation_type = OPERATION_TYPES[study.kind]
    operation = _submit(study, operation_type, parameters.model_dump(mode="json"), inputs_of(study))
    batch.operation = operation
    batch.save(update_fields=["operation"])
    return operation


def submit_report(study: Study) -> Operation:
    """Submit the report over the files of all batches that have results. Raises Invalid, Busy."""
    batches = StudyBatch.objects.filter(study=study, is_open=False, operation__isnull=False)
    inputs = {**inputs_of(study)}
    files = Artifact.objects.filter(
        operation__study_batch__in=batches, role=Artifact.Role.OUTPUT, name__in=messages.BATCH_FILES
    )
    for number, name, sha256 in files.values_list("operation__study_batch__pk", "name", "file_id"):
        inputs[f"{name_of(number)}/{name}"] = sha256
    named = {name.split("/")[0] for name in inputs if not name.startswith(("bars/", "model/"))}
    parameters = messages.ReportParameters(
        **_data_parameters(study),
        study=study.study_id,
        name=study.name,
        kind=study.kind,
        batches=tuple(
            messages.BatchFiles(name=name_of(batch.pk), rung=batch.rung)
            for batch in batches.order_by("rung", "first")
            if name_of(batch.pk) in named
        ),
        counted_before=study.counted_before,
        holdout=_holdout(study),
    )
    return _submit(study, REPORT_TYPE, parameters.model_dump(mode="json"), inputs)


def name_of(batch_id: int) -> str:
    """Return the folder of a batch's files among the inputs of a report."""
    return f"batch-{batch_id}"


def has_files(study: Study) -> bool:
    """Return whether a batch has left files, of which a report can be made."""
    return Artifact.objects.filter(
        operation__study_batch__study=study, role=Artifact.Role.OUTPUT, name=messages.TRIALS_FILE
    ).exists()


def inputs_of(study: Study) -> dict[str, str]:
    """Return input name -> SHA-256: the bars as they were at creation, and the model."""
    return dict(study.files.values_list("name", "file_id"))


def _data_parameters(study: Study) -> dict[str, Any]:
    return {
        "symbols": tuple(dict.fromkeys(row["symbol"] for row in study.data)),
        "start_date": study.start_date,
        "end_date": study.end_date,
        "strategy_yaml": study.strategy_yaml,
        "study_yaml": study.study_yaml,
        "seed": study.seed,
        "model": study.model_id,
    }


def _holdout(study: Study) -> messages.Holdout | None:
    holdout = study.spec["holdout"]
    if holdout is None or study.end_date is None:
        return None
    until = study.spec["data"]["until"]
    return messages.Holdout(
        start_date=study.end_date + timedelta(days=1), end_date=until, looks=study.holdout_looks
    )


def _submit(
    study: Study, operation_type: str, parameters: Mapping[str, Any], inputs: Mapping[str, str]
) -> Operation:
    submission = Submission(
        operation_type, dict(parameters), Queueing(priority=study.priority), inputs=inputs
    )
    entry = Entry(new_operation_id(), submission)
    (operation,) = insert([entry], Submitter(user=study.created_by, actor=STUDIES), {})
    return operation
