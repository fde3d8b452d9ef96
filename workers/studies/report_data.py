"""The study as its report reads it: trials of all batches, the market, and what the winner is tested on."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.resumable_job import ResumableJob
from workers.studies.binding import BoundStudy
from workers.studies.evaluation import Evaluator
from workers.studies.judged_folds import NO_FOLDS, JudgedFolds, build_judged_folds
from workers.studies.market import load_market
from workers.studies.messages import FINALIST_FILE, ReportParameters
from workers.studies.returns_stream import Returns, evidence_of
from workers.studies.run import bind_study, direction_source
from workers.studies.running_evidence import RunningEvidence
from workers.studies.sections import Finalists
from workers.studies.trial_table import TrialTable, read_trials

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """Everything that the parts of the report read."""

    parameters: ReportParameters
    bound: BoundStudy
    table: TrialTable
    ranking: NDArray[np.intp]
    evaluator: Evaluator | None
    """None for trainings, which are not repeated."""
    returns: Returns
    evidence: RunningEvidence
    is_complete: bool
    """Whether the evidence is that of every trial with returns."""
    folds: JudgedFolds
    per_year: float
    tested: list[dict[str, Any]]
    """Of a study of trainings: the files of its finalists, in the order of the ranking."""

    @property
    def winner(self) -> int | None:
        """Position of the winner in the table."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def finalists(self) -> list[int]:
        section = self.bound.study.finalists or Finalists()
        return [int(at) for at in self.ranking[: section.count]]

    def winner_returns(self) -> Floats | None:
        """Return the winner's daily returns; None without a winner, or where they were not kept."""
        if self.winner is None:
            return None
        number = np.array([self.table.numbers[self.winner]])
        return next((returns for _, returns in self.returns.of(number)), None)


def load_study(parameters: ReportParameters, job: ResumableJob) -> Study:
    """Read the trials and the bars of the search. Raises InvalidInput."""
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    table = read_trials(parameters.batches, job.inputs)
    market = load_market(bound.strategy, parameters, job.inputs)
    ranking = table.ranking(maximize=bound.study.objective.maximize)
    evaluator = None
    if parameters.kind != "training":
        evaluator = Evaluator(bound, market, direction_source(parameters, bound, market, job.inputs))
    folds = build_judged_folds(bound, market) if evaluator is not None else NO_FOLDS
    returns = Returns(table, evaluator)
    evidence, is_complete = evidence_of(parameters, job.inputs, returns, folds.all)
    return Study(
        parameters,
        bound,
        table,
        ranking,
        evaluator,
        returns,
        evidence,
        is_complete,
        folds,
        market.per_year,
        _read_finalists(parameters, table.numbers[ranking].tolist(), job),
    )


def _read_finalists(
    parameters: ReportParameters, ranked: list[int], job: ResumableJob
) -> list[dict[str, Any]]:
    files = [job.inputs[f"{name}/{FINALIST_FILE}"] for name in parameters.finalists]
    finalists = {row["number"]: row for row in (json.loads(file.read_bytes()) for file in files)}
    return [finalists[number] for number in ranked if number in finalists]
