"""The details that a batch kept of one trial beside its row: folds, learning curves and log."""

import json
import zipfile
import zlib
from typing import Any

import structlog
from pydantic import BaseModel, FiniteFloat

from operations import artifacts
from operations.models import Artifact
from studies.models import FINALIST_RUNG, StudyBatch, StudyTrial
from workers.studies.messages import DETAILS_FILE

log = structlog.get_logger(__name__)
MAX_BYTES = 10_000_000
"""Of the details of a trial, unpacked."""


class Training(BaseModel):
    fold: int
    seed: int
    metric: FiniteFloat | None
    trades: FiniteFloat
    best_epoch: int
    stopped: str
    train_loss: list[FiniteFloat]
    validation_loss: list[FiniteFloat]


class Details(BaseModel):
    folds: list[FiniteFloat | None] = []
    trainings: list[Training] = []
    log: list[str] = []


def operation_of(trial: StudyTrial) -> str | None:
    """Return the operation that evaluated the trial last; None before it started, or if its history was removed."""
    batches = StudyBatch.objects.filter(study=trial.study_id, first__lte=trial.number, last__gte=trial.number)
    reached = batches.exclude(rung=FINALIST_RUNG).filter(rung__lte=max(1, trial.rung))
    return reached.order_by("-rung").values_list("operation", flat=True).first()


def details_of(trial: StudyTrial, operation_id: str | None) -> dict[str, Any]:
    """Return folds, trainings with their curves, and log lines; all empty where the batch kept none that are valid."""
    file = Artifact.objects.filter(
        operation=operation_id or "", role=Artifact.Role.OUTPUT, name=DETAILS_FILE
    ).first()
    details = Details() if file is None else _read(file.file_id, f"{trial.number}.json")
    return details.model_dump()


def _read(sha256: str, name: str) -> Details:
    try:
        with (
            artifacts.open_file(sha256) as stored,
            zipfile.ZipFile(stored) as archive,
            archive.open(name) as file,
        ):
            text = file.read(MAX_BYTES + 1)
        return Details() if len(text) > MAX_BYTES else Details.model_validate(json.loads(text))
    except (OSError, KeyError):
        return Details()  # its file was removed, or the trial failed before it had details
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        log.warning("details of a trial are not valid", file=sha256, name=name, reason=repr(error)[:200])
        return Details()
