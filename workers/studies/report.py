"""Judge the winner of a study, and write everything that its page shows."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.learning.folds import BadFolds
from workers.report_parts import build_parts, missing_parts_warnings
from workers.studies import out_of_sample, report_tables
from workers.studies.binding import BoundStudy
from workers.studies.evaluation import Evaluator
from workers.studies.evidence import Statistics, collect
from workers.studies.fold_days import fold_days
from workers.studies.market import load_market
from workers.studies.messages import (
    MAX_REPORT_BYTES,
    REPORT_FILE,
    TRIALS_FILE,
    Best,
    Headline,
    ReportParameters,
    ReportResult,
    SearchData,
)
from workers.studies.returns_stream import Returns, returns_of
from workers.studies.run import Job, bind_study, direction_source
from workers.studies.sections import CombinatorialPurged, WalkForward
from workers.studies.statistics.moments import block_moments
from workers.studies.statistics.overfitting import HISTOGRAM_EDGES
from workers.studies.statistics.verdict import Evidence, judge
from workers.studies.statistics.walk_forward import FoldDays
from workers.studies.trial_table import TrialTable, join_trials, read_trials

Floats = NDArray[np.float64]

DEFAULT_WINDOWS = 5
DEFAULT_PATHS = CombinatorialPurged(scheme="cpcv")
DEFAULT_FINALISTS = 10
CURVES = 20


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
    windows: list[FoldDays]
    """Of the walk-forward selection."""
    paths: CombinatorialPurged | None
    path_folds: list[FoldDays]
    per_year: float

    @property
    def winner(self) -> int | None:
        """Position of the winner in the table."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def finalists(self) -> list[int]:
        section = self.bound.study.finalists
        return [int(at) for at in self.ranking[: section.count if section else DEFAULT_FINALISTS]]


def run_report(parameters: ReportParameters, job: Job) -> dict[str, Any]:
    """Return the `ReportResult`. Raises InvalidInput. Artifacts: report.json, trials.parquet."""
    job.progress(0, step="reading trials")
    study = _load(parameters, job)
    job.progress(10, step="statistics")
    winner_returns = _winner_returns(study)
    statistics = collect(
        study.table,
        study.winner,
        winner_returns,
        study.returns.stream,
        [*study.windows, *study.path_folds],
        parameters.counted_before,
        parameters.seed,
    )
    job.progress(70, step="out of sample")
    holdout = _holdout(study, job)
    outside, missing = build_parts(_outside_parts(study, statistics, winner_returns))
    result = _judge(study, statistics, winner_returns, outside, holdout)
    warnings = [*_warnings(study, winner_returns), *missing_parts_warnings(missing, "the verdict is")]
    result = result.model_copy(update={"warnings": warnings})
    job.progress(90, step="report")
    job.artifact(REPORT_FILE, _compose(study, statistics, outside, holdout, result))
    job.artifact(TRIALS_FILE, join_trials(parameters.batches, job.inputs))
    job.progress(100, step="done")
    return result.model_dump(mode="json")


def _load(parameters: ReportParameters, job: Job) -> Study:
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    table = read_trials(parameters.batches, job.inputs)
    market = load_market(
        bound.strategy, parameters.symbols, parameters.start_date, parameters.end_date, job.inputs
    )
    evaluator = None
    if parameters.kind != "training":
        evaluator = Evaluator(bound, market, direction_source(parameters, bound, market, job.inputs))
    windows, paths, path_folds = [], None, []
    if evaluator is not None:
        section = bound.study.finalists
        chosen = section.validation if section else None
        paths = chosen if isinstance(chosen, CombinatorialPurged) else DEFAULT_PATHS
        windows = _folds_or_none(_windows_of(bound, len(market.times)), evaluator)
        path_folds = _folds_or_none(paths, evaluator)
    return Study(
        parameters,
        bound,
        table,
        table.ranking(maximize=bound.study.objective.maximize),
        evaluator,
        returns_of(table, evaluator),
        windows,
        paths if path_folds else None,
        path_folds,
        market.per_year,
    )


def _windows_of(bound: BoundStudy, bars: int) -> WalkForward:
    """Return the study's own walk-forward validation, or five windows over the second half of the data."""
    validation = bound.study.validation
    if isinstance(validation, WalkForward):
        return validation
    half = max(10, bars // 2)
    return WalkForward(scheme="walk_forward", train=half, test=max(1, -(-half // DEFAULT_WINDOWS)))


def _folds_or_none(scheme: WalkForward | CombinatorialPurged, evaluator: Evaluator) -> list[FoldDays]:
    """Return the folds, none if the data are too short for them."""
    try:
        folds = fold_days(scheme, evaluator.market)
    except BadFolds:
        return []
    return folds if all(fold.test.any() and fold.train.sum() > 1 for fold in folds) else []


def _winner_returns(study: Study) -> Floats | None:
    if study.winner is None:
        return None
    number = np.array([study.table.numbers[study.winner]])
    rows = [row for _, returns in study.returns.stream(number) for row in returns]
    return rows[0] if rows else None


def _outside_parts(study: Study, statistics: Statistics, winner_returns: Floats | None) -> dict[str, Any]:
    """Return the parts of the report that are simulated again; none for trainings or without a winner."""
    evaluator, table, selection = study.evaluator, study.table, statistics.selection
    if evaluator is None or study.winner is None or winner_returns is None:
        return {}
    count, winner = len(study.windows), table.trial(study.winner)
    parts = {"the stress test": lambda: {"stress": out_of_sample.stress_section(evaluator, winner)}}
    if count:
        parts["the walk-forward windows"] = lambda: {
            "walk_forward": out_of_sample.walk_forward_section(
                evaluator, table, study.windows, selection.part(0, count)
            )
        }
    if study.paths is not None:
        scheme = study.paths
        parts["the paths"] = lambda: {
            "paths": out_of_sample.paths_section(
                evaluator, table, scheme, selection.part(count, len(selection.folds))
            )
        }
    return parts


def _holdout(study: Study, job: Job) -> dict[str, Any] | None:
    """Return the figures of the finalists in the sealed part; None while it is sealed, and for trainings."""
    holdout, parameters = study.parameters.holdout, study.parameters
    if holdout is None or holdout.looks == 0 or study.evaluator is None or study.winner is None:
        return None
    data = parameters.model_copy(update={"start_date": holdout.start_date, "end_date": holdout.end_date})
    assert isinstance(data, SearchData)
    market = load_market(
        study.bound.strategy, parameters.symbols, holdout.start_date, holdout.end_date, job.inputs
    )
    evaluator = Evaluator(
        study.bound, market, direction_source(data, study.bound, market, job.inputs), with_folds=False
    )
    rows = out_of_sample.holdout_rows(evaluator, [study.table.trial(at) for at in study.finalists])
    return {
        "from": holdout.start_date.isoformat(),
        "to": str(market.days[-1]),
        "looks": holdout.looks,
        "finalists": rows,
    }


def _judge(
    study: Study,
    statistics: Statistics,
    winner_returns: Floats | None,
    outside: dict[str, Any],
    holdout: dict[str, Any] | None,
) -> ReportResult:
    deflation, table = statistics.deflation, study.table
    annual = math.sqrt(study.per_year)
    sharpe = None if winner_returns is None else out_of_sample.annual_sharpe(winner_returns, study.per_year)
    held = holdout["finalists"][0]["sharpe"] if holdout else None
    figures = Headline(
        sharpe=sharpe,
        needed_sharpe=deflation.needed * annual if deflation else None,
        trials_counted=deflation.trials
        if deflation
        else len(table.numbers) + study.parameters.counted_before,
        effective_trials=deflation.independent if deflation else None,
        dsr=deflation.dsr if deflation else None,
        pbo=statistics.overfitting.pbo if statistics.overfitting else None,
        reality_check_p=statistics.snooping.reality_check_p if statistics.snooping else None,
        spa_p=statistics.snooping.spa_p if statistics.snooping else None,
        plateau=statistics.plateau.ratio if statistics.plateau else None,
        walk_forward_efficiency=(outside.get("walk_forward") or {}).get("efficiency"),
        holdout_sharpe=held,
    )
    verdict, reasons = judge(
        Evidence(
            figures.dsr,
            figures.pbo,
            statistics.overfitting.loss_probability if statistics.overfitting else None,
            figures.spa_p if study.returns.is_complete else None,
            held,
            sharpe,
            figures.needed_sharpe,
            figures.trials_counted,
            holdout["looks"] if holdout else 0,
            figures.plateau,
            _holdout_remedy(study),
        )
    )
    winner = study.winner
    best = None
    if winner is not None:
        best = Best(
            number=int(table.numbers[winner]), value=float(table.values[winner]), point=table.points[winner]
        )
    return ReportResult(verdict=verdict, reasons=reasons, figures=figures, best=best, states=table.counts())


def _holdout_remedy(study: Study) -> str:
    """Return how to test the winner on sealed data, where this report has not."""
    if study.parameters.holdout is None:
        return "add a holdout to the study"
    if study.evaluator is None:
        return "promote the winner, which trains it on all data before the holdout and backtests it there"
    return "open the holdout when the search is finished"


def _warnings(study: Study, winner_returns: Floats | None) -> list[dict[str, str]]:
    warnings = []
    if not study.returns.is_complete:
        message = (
            "The test for data snooping lacks trials whose daily returns were not kept, so it does not count."
        )
        warnings.append({"code": "incomplete_snooping", "message": message})
    if winner_returns is not None and study.winner is not None and study.evaluator is not None:
        again = block_moments(winner_returns)[0]
        if not np.array_equal(again, study.table.moments[study.winner]):
            message = (
                "The winner's figures differ when it is simulated again; its batch used other data or code."
            )
            warnings.append({"code": "not_reproduced", "message": message})
    return warnings


def _compose(
    study: Study,
    statistics: Statistics,
    outside: dict[str, Any],
    holdout: dict[str, Any] | None,
    result: ReportResult,
) -> bytes:
    """Return the report as JSON of at most 2 MB; the sample of points shrinks until it fits."""
    table, overfitting = study.table, statistics.overfitting
    maximize = study.bound.study.objective.maximize
    report: dict[str, Any] = {
        **result.model_dump(mode="json"),
        **outside,
        "study": study.parameters.study,
        "name": study.parameters.name or study.bound.study.name,
        "objective": study.bound.study.objective.model_dump(mode="json"),
        "days": table.days,
        "per_year": study.per_year,
        "holdout": holdout,
        "leaderboard": report_tables.leaderboard(table, study.ranking),
        "points": report_tables.points(table, study.ranking, study.parameters.seed),
        "importance": report_tables.importance(table),
        "progress": report_tables.progress(table, maximize=maximize),
        "failures": report_tables.failures(table),
        "plateau": {"neighbours": list(statistics.plateau.neighbours)} if statistics.plateau else None,
        "overfitting": None
        if overfitting is None
        else {
            "edges": HISTOGRAM_EDGES.tolist(),
            "counts": overfitting.histogram(),
            "slope": overfitting.slope,
            "loss_probability": overfitting.loss_probability,
        },
        "curves": _curves(study),
    }
    content = json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
    while len(content) > MAX_REPORT_BYTES:
        _shrink(report)
        content = json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
    return content


def _shrink(report: dict[str, Any]) -> None:
    """Drop the later half of the points, and of the leaders once there are few points."""
    points, leaders = report["points"], report["leaderboard"]["rows"]
    half = len(points["number"]) // 2
    if half >= len(leaders):
        for columns in (points, points["parameters"]):
            columns.update(
                {name: values[:half] for name, values in columns.items() if isinstance(values, list)}
            )
    else:
        del leaders[len(leaders) // 2 :]


def _curves(study: Study) -> list[dict[str, Any]]:
    """Return the growth of the best trials whose daily returns are known."""
    market = study.evaluator.market if study.evaluator else None
    if market is None:
        return []
    numbers = study.table.numbers[study.ranking[:CURVES]]
    return [
        {"number": int(number), **out_of_sample.curve(returns, market.days)}
        for chosen, block in study.returns.stream(numbers)
        for number, returns in zip(chosen, block, strict=True)
    ]
