"""Submits a study's work as ordinary operations."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from operations.insertion import Entry, Submitter, insert
from operations.models import Artifact, Operation
from operations.models.operation import new_operation_id
from operations.requests import Queueing, Submission
from studies.lifecycle import STUDIES
from studies.models import Study, StudyBatch
from studies.planning import OPERATION_TYPES, traded_symbols
from workers.studies import messages

REPORT_TYPE = "study_report"
FINALIST_TYPE = "study_finalist"


def submit_batch(study: Study, batch: StudyBatch, trials: Sequence[messages.Trial]) -> Operation:
    """Submit the trials of a batch and link the operation to it. Raises Invalid, Busy."""
    inputs, data = inputs_of(study), _data_parameters(study)
    parameters: messages.BatchParameters | messages.FinalistParameters
    if batch.is_finalist:
        operation_type = FINALIST_TYPE
        del data["model"]
        (trial,) = trials
        parameters = messages.FinalistParameters(**data, trial=trial, holdout=_holdout(study))
    else:
        operation_type = OPERATION_TYPES[study.kind]
        parameters = messages.BatchParameters(**data, kind=study.kind, rung=batch.rung, trials=tuple(trials))
        inputs |= _earlier_rung(study, batch)
    operation = _submit(study, operation_type, parameters.model_dump(mode="json"), inputs)
    batch.operation = operation
    batch.save(update_fields=["operation"])
    return operation


def _earlier_rung(study: Study, batch: StudyBatch) -> dict[str, str]:
    """Return the files from which the trials of a later rung continue, as inputs."""
    earlier = StudyBatch.objects.filter(
        study=study, rung=batch.rung - 1, is_open=False, first__lte=batch.last, last__gte=batch.first
    )
    return _files_of(earlier, (messages.RUNG_FILE,)) if batch.rung > 1 else {}


def _files_of(batches: QuerySet[StudyBatch], names: Sequence[str]) -> dict[str, str]:
    """Return input name -> SHA-256 of files that the operations of batches left."""
    files = Artifact.objects.filter(
        operation__study_batch__in=batches, role=Artifact.Role.OUTPUT, name__in=names
    ).values_list("operation__study_batch__pk", "name", "file_id")
    return {f"{name_of(number)}/{name}": sha256 for number, name, sha256 in files}


def submit_report(study: Study) -> Operation:
    """Submit the report over the files of all batches that have results. Raises Invalid, Busy."""
    batches = StudyBatch.objects.filter(study=study, is_open=False, operation__isnull=False)
    files = _files_of(batches, (*messages.BATCH_FILES, messages.EVIDENCE_FILE))
    tested = _files_of(batches, (messages.FINALIST_FILE,))
    named = {name.split("/")[0] for name in files}
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
        finalists=tuple(sorted(name.split("/")[0] for name in tested)),
        counted_before=study.counted_before,
        holdout=_holdout(study),
    )
    inputs = inputs_of(study) | files | tested
    operation = _submit(study, REPORT_TYPE, parameters.model_dump(mode="json"), inputs)
    # The page of runs lists the report for its study.
    Operation.objects.filter(pk=operation.pk).update(title=study.name)
    return operation


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
        "symbols": traded_symbols(study),
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
