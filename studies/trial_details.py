"""What a batch kept of one trial beside its row: folds, learning curves and log."""

import json
import zipfile
from typing import Any

from operations import artifacts
from operations.models import Artifact
from studies.models import FINALIST_RUNG, StudyBatch, StudyTrial
from workers.studies.messages import DETAILS_FILE

NOTHING: dict[str, Any] = {"folds": [], "trainings": [], "log": []}


def operation_of(trial: StudyTrial) -> str | None:
    """Return the operation that evaluated the trial last; None before it started, or if its history was removed."""
    batches = StudyBatch.objects.filter(study=trial.study_id, first__lte=trial.number, last__gte=trial.number)
    reached = batches.exclude(rung=FINALIST_RUNG).filter(rung__lte=max(1, trial.rung))
    return reached.order_by("-rung").values_list("operation", flat=True).first()


def details_of(trial: StudyTrial, operation_id: str | None) -> dict[str, Any]:
    """Return folds, trainings with their curves, and log lines; all empty where the batch kept none."""
    file = Artifact.objects.filter(
        operation=operation_id or "", role=Artifact.Role.OUTPUT, name=DETAILS_FILE
    ).first()
    if file is None:
        return NOTHING
    try:
        with zipfile.ZipFile(artifacts.path_of(file.file_id)) as archive:
            return {**NOTHING, **json.loads(archive.read(f"{trial.number}.json"))}
    except (OSError, KeyError):
        return NOTHING  # its file was removed, or the trial failed before it had details
