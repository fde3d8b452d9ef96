"""Proposes the points of trials: by arithmetic, or from earlier results with tpe."""

import json
from typing import Protocol

from django.db import connection

from studies.lifecycle import STUDIES, record
from studies.models import Study, TrialState
from studies.reading import read
from workers.studies.binding import BoundStudy
from workers.studies.messages import Trial
from workers.studies.pointers import thaw
from workers.studies.search_section import Point
from workers.studies.space import Space

# Model instances for thousands of trials take longer than the trials of some studies.
_INSERT = """
    INSERT INTO studies_studytrial (study_id, number, state, parameters, scores, rung, cpu_ms, error)
    SELECT %s, %s + ordinality - 1, %s, point, '{}', 0, 0, ''
      FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS given(point, ordinality)
"""
MAX_VERSIONS = 3
"""Of Optuna that are stored of a study."""


class Proposer(Protocol):
    """Proposes consecutive points of one study."""

    def propose(self, study: Study, first: int, count: int) -> list[Point]: ...


class Arithmetic:
    """Grid, random, Halton and list: `point(number)` needs no results."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def propose(self, study: Study, first: int, count: int) -> list[Point]:
        return [self._space.point(number) for number in range(first, first + count)]


def new_proposer(study: Study) -> Proposer:
    """Return the proposer of a study; that of tpe loads Optuna. Raises Invalid if the study cannot be read any more."""
    bound = bound_study(study)
    if bound.study.search.method == "tpe":
        from studies.tpe import OPTUNA_VERSION, TreeParzen  # numpy and Optuna: only in `run_studies`

        note_optimizer(study, OPTUNA_VERSION)
        return TreeParzen(bound.space, study)
    return Arithmetic(bound.space)


def note_optimizer(study: Study, version: str) -> None:
    """Store the version of Optuna.

    Another version that continues a study may propose other points; an event and a warning report it.
    """
    known = study.optimizer_version.split(", ")
    if known[-1] == version:
        return
    if study.optimizer_version:
        record(study, STUDIES, f"Optuna {version} continues what Optuna {known[-1]} started")
    study.optimizer_version = ", ".join([*filter(None, known), version][-MAX_VERSIONS:])
    study.save(update_fields=["optimizer_version"])


def bound_study(study: Study) -> BoundStudy:
    return read(study.study_yaml, study.strategy_yaml)


def insert_trials(study: Study, first: int, points: list[Point]) -> list[Trial]:
    """Insert the trials of a new batch; return them with their values as JSON, as if read again."""
    parameters = [thaw(point) for point in points]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [study.pk, first, TrialState.RUNNING, json.dumps(parameters)])
    return [Trial(number=first + offset, point=point) for offset, point in enumerate(parameters)]
