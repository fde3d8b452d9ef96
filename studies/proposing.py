"""Proposes the points of trials: by arithmetic, or from earlier results with tpe."""

from typing import Protocol

from studies.models import Study, StudyTrial
from studies.reading import read
from workers.studies.binding import BoundStudy
from workers.studies.search_section import Point
from workers.studies.space import Space


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
        from studies.tpe import TreeParzen  # numpy and Optuna: only in `run_studies`

        return TreeParzen(bound.space, study)
    return Arithmetic(bound.space)


def bound_study(study: Study) -> BoundStudy:
    return read(study.study_yaml, study.strategy_yaml)


def insert_trials(study: Study, first: int, points: list[Point], rung: int = 0) -> list[StudyTrial]:
    """Insert the trials of a new batch."""
    return StudyTrial.objects.bulk_create(
        StudyTrial(study=study, number=first + offset, parameters=point, rung=rung)
        for offset, point in enumerate(points)
    )
