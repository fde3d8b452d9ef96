"""Rows of studies for tests that need one to exist, whatever it does."""

from django.contrib.auth.models import User

from studies.models import Study, StudyTrial
from tests.studies.lab import STRATEGY, STUDY
from workers.studies.grammar import parse_study


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
