"""Proposes the points of trials: by arithmetic, or from earlier results with tpe."""

from typing import Protocol

from studies.lifecycle import STUDIES, record
from studies.models import Study, StudyTrial
from studies.reading import read
from workers.studies.binding import BoundStudy
from workers.studies.pointers import thaw
from workers.studies.search_section import Point
from workers.studies.space import Space

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


def insert_trials(study: Study, first: int, points: list[Point], rung: int = 0) -> list[StudyTrial]:
    """Insert the trials of a new batch, with their values as JSON: they are as if read again."""
    return StudyTrial.objects.bulk_create(
        StudyTrial(study=study, number=first + offset, parameters=thaw(point), rung=rung)
        for offset, point in enumerate(points)
    )
