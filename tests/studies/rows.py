"""Rows of studies for tests that need one to exist, whatever it does."""

import json
from datetime import UTC, datetime

from django.contrib.auth.models import User

from operations import artifacts
from operations.models import Operation
from studies.models import Study, StudyBatch, StudyTrial
from tests.factories import OperationFactory
from tests.studies.lab import STRATEGY, STUDY
from workers.studies.archive import pack
from workers.studies.grammar import parse_study
from workers.studies.messages import DETAILS_FILE

POINTS = 200
REPORT = {
    "figures": {"sharpe": 1.0, "pbo": 0.25},
    "progress": {"number": [0, 5], "best": [0.1, 0.4]},
    "points": {
        "of": POINTS,
        "number": list(range(POINTS)),
        "value": [None, *(1.0 - 0.001 * at for at in range(1, POINTS))],
        "parameters": {
            "/indicators/fast/period": [5 + at % 9 for at in range(POINTS)],
            "/indicators/slow/period": [20 + at % 7 for at in range(POINTS)],
            "/backtest/stop_loss": [None if at % 2 else 0.1 for at in range(POINTS)],
        },
    },
    "importance": [
        {"parameter": "/indicators/slow/period", "share": 0.5},
        {"parameter": "/backtest/stop_loss", "share": 0.3},
        {"parameter": "/indicators/fast/period", "share": 0.2},
    ],
    "overfitting": {"edges": [-6.0, 0.0, 6.0], "counts": [3, 7]},
    "walk_forward": {
        "windows": [
            {
                "train": ["2001-01-01", "2001-12-31"], "test": ["2002-01-01", "2002-06-30"], "number": 7,
                "point": {"/indicators/fast/period": 8}, "train_sharpe": 1.0, "test_sharpe": 0.5, "test_return": 0.1,
            }
        ],
        "curve": {"time": ["2002-01-01", "2002-06-30"], "growth": [1.0, 1.1]},
    },
    "paths": {
        "folds": 28,
        "fan": {"time": ["2001-01-01", "2002-01-01"], "low": [1.0, 0.9], "median": [1.0, 1.1], "high": [1.0, 1.3]},
    },
}  # fmt: skip

TRAINING = {
    "fold": 0, "seed": 1, "metric": 0.5, "trades": 12.0, "best_epoch": 2, "stopped": "epochs",
    "train_loss": [1.0, 0.9], "validation_loss": [1.1, 0.8],
}  # fmt: skip
DETAILS = {"folds": [0.5, None], "trainings": [TRAINING], "log": ["fold 0, seed 1: <2> epochs"]}


def create_study(user: User, trials: int = 3, **fields: object) -> Study:
    """A study that runs, all of whose trials have completed."""
    values = {
        "name": "thresholds",
        "kind": "decisions",
        "spec": parse_study(STUDY).model_dump_spec(),
        "spec_sha256": "ab" * 32,
        "study_yaml": STUDY,
        "strategy_yaml": STRATEGY,
        "data": [{"symbol": "XY", "timeframe": "1d", "sha256": "cd" * 32}],
        "base_timeframe": "1d",
        "seed": 7,
        "window": 16,
        "planned": 60,
        "proposed": trials,
        "completed": trials,
        "best_number": 0,
        "best_value": 1.0,
        "created_by": user,
    }
    study = Study.objects.create(**{**values, **fields})
    StudyTrial.objects.bulk_create(
        StudyTrial(
            study=study,
            number=number,
            state="completed",
            value=1.0 / (number + 1),
            parameters={"/decisions/confidence_threshold": 0.5, "/backtest/stop_loss": None},
            scores={"trades": 30.0},
        )
        for number in range(trials)
    )
    return study


def create_reported_study(user: User, **fields: object) -> Study:
    """A study with a report that has every part."""
    ended = datetime.now(UTC)
    reporter = OperationFactory(operation_type="study_report", status="COMPLETED", completed_at=ended)
    stored = artifacts.put([json.dumps(REPORT).encode()])
    reporter.artifacts.create(role="output", name="report.json", file_id=stored.sha256)
    reasons = [{"code": "dsr", "message": "The probability is 12.0 %.", "passed": False}]
    report = {"verdict": "open", "reasons": reasons, "figures": REPORT["figures"], "warnings": []}
    values = {"status": "COMPLETED", "ended_at": ended, "reporter": reporter, "report": report}
    return create_study(user, **{"trials": 3, **values, **fields})


def keep_details(study: Study, number: int) -> Operation:
    """Store the details of a trial as its batch does; return the operation of the batch."""
    return keep_archive(study, pack({f"{number}.json": json.dumps(DETAILS).encode()}))


def keep_archive(study: Study, archive: bytes) -> Operation:
    """Store the file of details of a batch that evaluated all trials; return the operation of the batch."""
    operation = OperationFactory(operation_type="study_training_batch")
    stored = artifacts.put([archive])
    operation.artifacts.create(role="output", name=DETAILS_FILE, file_id=stored.sha256)
    last = study.trials.count() - 1
    StudyBatch.objects.create(study=study, first=0, last=last, operation=operation, is_open=False)
    return operation
