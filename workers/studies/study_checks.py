"""Check the sections of a study against each other."""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from math import comb

from workers.strategy.errors import UnplacedProblem
from workers.studies.search_section import search_problems
from workers.studies.sections import CombinatorialPurged, Study, Validation

MAX_PARALLEL = 1_000


def find_contradictions(study: Study) -> list[UnplacedProblem]:
    """Return the problems of a file whose sections are valid on their own."""
    return [
        *search_problems(study.search),
        *_period_problems(study),
        *_objective_problems(study),
        *_validation_problems(study.validation, "/validation"),
        *_validation_problems(
            study.finalists.validation if study.finalists else None, "/finalists/validation"
        ),
        *_stop_early_problems(study),
        *_budget_problems(study),
    ]


def _period_problems(study: Study) -> Iterator[UnplacedProblem]:
    since, until, holdout = study.data.since, study.data.until, study.holdout
    if since and until and since >= until:
        yield "/data/since", f"since {since} must be before until {until}"
    if holdout is None:
        return
    start, end = holdout.from_, holdout.until
    if since and start <= since:
        yield (
            "/holdout/from",
            f"this is not a test: the holdout from {start} contains the whole data since {since}",
        )
    if start == date.min:
        yield "/holdout/from", f"the holdout from {start} leaves no day to search; let it start later"
    if until and start > until:
        yield "/holdout/from", f"the holdout from {start} is empty: the data end at {until}"
    if end and end < start:
        yield "/holdout/until", f"until {end} must not be before from {start}"
    elif end and (until is None or end < until):
        rest = (
            f"data after {end} would be searched" if until is None else f"{end} to {until} would be searched"
        )
        message = (
            f"this is not a test: the holdout lies inside the search data, {rest}; set data.until to {end}"
        )
        yield "/holdout/until", message


def _objective_problems(study: Study) -> Iterator[UnplacedProblem]:
    objective = study.objective
    if objective.over == "training":
        yield (
            "/objective/over",
            "this is not a test: the objective would be measured on the part that the trials train on; use folds",
        )
    if objective.over == "folds" and study.validation is None:
        yield (
            "/objective/over",
            "folds needs a section validation, for example {scheme: purged_kfold, folds: 5}",
        )


def _validation_problems(validation: Validation | None, at: str) -> Iterator[UnplacedProblem]:
    if not isinstance(validation, CombinatorialPurged):
        return
    groups, chosen = validation.groups, validation.test_groups
    if chosen >= groups:
        yield f"{at}/test_groups", f"test_groups must be less than groups ({groups}), not {chosen}"
    elif comb(groups, chosen) > 1_000:
        message = f"{chosen} of {groups} groups give {comb(groups, chosen):,} folds; the limit is 1,000"
        yield f"{at}/groups", message


def _stop_early_problems(study: Study) -> Iterator[UnplacedProblem]:
    if study.stop_early is None:
        return
    rungs = study.stop_early.rungs
    if min(rungs) < 1 or any(later <= earlier for earlier, later in pairwise(rungs)):
        yield "/stop_early/rungs", "rungs must be rising numbers of epochs, such as [5, 15, 45]"


def _budget_problems(study: Study) -> Iterator[UnplacedProblem]:
    parallel = study.budget.parallel
    if parallel is not None and parallel > MAX_PARALLEL:
        message = f"parallel must be at most {MAX_PARALLEL:,}, not {parallel:,}; leave it out for half of the workers"
        yield "/budget/parallel", message
