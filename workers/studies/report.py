"""Judge the winner of a study, and write everything that its page shows."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.report_parts import build_parts, missing_parts_warnings
from workers.resumable_job import ResumableJob
from workers.studies import out_of_sample
from workers.studies.evaluation import Evaluator
from workers.studies.evidence import Statistics, collect
from workers.studies.market import load_market
from workers.studies.messages import (
    REPORT_FILE,
    TRIALS_FILE,
    Best,
    Headline,
    Holdout,
    ReportParameters,
    ReportResult,
)
from workers.studies.report_data import Study, load_study
from workers.studies.report_file import compose_report
from workers.studies.run import direction_source
from workers.studies.statistics.moments import block_moments
from workers.studies.statistics.verdict import Evidence, judge
from workers.studies.trial_table import join_trials

Floats = NDArray[np.float64]


def run_report(parameters: ReportParameters, job: ResumableJob) -> dict[str, Any]:
    """Return the `ReportResult`. Raises InvalidInput. Artifacts: report.json, trials.parquet."""
    job.progress(0, step="reading trials")
    study = load_study(parameters, job)
    job.progress(10, step="statistics")
    winner_returns = study.winner_returns()
    statistics = collect(study.table, study.winner, winner_returns, study.evidence, parameters.counted_before)
    job.progress(70, step="out of sample")
    holdout = _holdout(study, job)
    outside, missing = build_parts(_outside_parts(study, statistics, winner_returns))
    result = _judge(study, statistics, winner_returns, outside, holdout)
    warnings = [*_warnings(study, winner_returns), *missing_parts_warnings(missing, "the verdict is")]
    result = result.model_copy(update={"warnings": warnings})
    job.progress(90, step="report")
    job.artifact(REPORT_FILE, compose_report(study, statistics, outside, holdout, result))
    job.artifact(TRIALS_FILE, join_trials(parameters.batches, job.inputs))
    job.progress(100, step="done")
    return result.model_dump(mode="json")


def _outside_parts(study: Study, statistics: Statistics, winner_returns: Floats | None) -> dict[str, Any]:
    """Return the parts of the report that are simulated again; none for trainings or without a winner."""
    evaluator, table, selection = study.evaluator, study.table, statistics.selection
    if study.winner is None or winner_returns is None:
        return {}
    if evaluator is None:
        return {"the winner's own folds": lambda: _folds_of_winner(study)}
    folds, winner = study.folds, table.trial(study.winner)
    count = len(folds.windows)
    parts = {"the stress test": lambda: {"stress": out_of_sample.stress_section(evaluator, winner)}}
    if count:
        parts["the walk-forward windows"] = lambda: {
            "walk_forward": out_of_sample.walk_forward_section(
                evaluator, table, folds.windows, selection.part(0, count)
            )
        }
    if folds.paths is not None:
        scheme = folds.paths
        parts["the paths"] = lambda: {
            "paths": out_of_sample.paths_section(
                evaluator, table, scheme, selection.part(count, len(selection.folds))
            )
        }
    return parts


def _folds_of_winner(study: Study) -> dict[str, Any]:
    """Return the windows or paths of a study of trainings, from the operation that validated its winner."""
    assert study.winner is not None
    number = int(study.table.numbers[study.winner])
    finalist = next((row for row in study.tested if row["number"] == number), {})
    validation = finalist.get("validation") or {}
    return {name: validation[name] for name in ("walk_forward", "paths") if name in validation}


def _holdout(study: Study, job: ResumableJob) -> dict[str, Any] | None:
    """Return the figures of the finalists in the sealed part; None while it is sealed."""
    holdout, parameters = study.parameters.holdout, study.parameters
    if holdout is None or holdout.looks == 0 or study.winner is None:
        return None
    if study.evaluator is None:
        return _holdout_of_trainings(study, holdout)
    data = parameters.model_copy(update={"start_date": holdout.start_date, "end_date": holdout.end_date})
    market = load_market(study.bound.strategy, data, job.inputs)
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


def _holdout_of_trainings(study: Study, holdout: Holdout) -> dict[str, Any] | None:
    """Return what the finalists' own operations found in the sealed part."""
    rows = [
        {"number": finalist["number"], **finalist["holdout"]}
        for finalist in study.tested
        if finalist["holdout"] is not None
    ]
    end = None if holdout.end_date is None else holdout.end_date.isoformat()
    first = holdout.start_date.isoformat()
    return {"from": first, "to": end, "looks": holdout.looks, "finalists": rows} if rows else None


def _sharpe_of_winner(study: Study, holdout: dict[str, Any] | None) -> float | None:
    """Return the winner's annual Sharpe ratio in the holdout; None if it was not tested there."""
    if holdout is None or study.winner is None:
        return None
    number = int(study.table.numbers[study.winner])
    return next((row["sharpe"] for row in holdout["finalists"] if row["number"] == number), None)


def _judge(
    study: Study,
    statistics: Statistics,
    winner_returns: Floats | None,
    outside: dict[str, Any],
    holdout: dict[str, Any] | None,
) -> ReportResult:
    figures = _headline(study, statistics, winner_returns, outside, holdout)
    verdict, reasons = judge(
        Evidence(
            figures.dsr,
            figures.pbo,
            statistics.overfitting.loss_probability if statistics.overfitting else None,
            figures.spa_p if study.is_complete else None,
            figures.holdout_sharpe,
            figures.sharpe,
            figures.needed_sharpe,
            figures.trials_counted,
            holdout["looks"] if holdout else 0,
            figures.plateau,
            _holdout_remedy(study),
        )
    )
    return ReportResult(
        verdict=verdict, reasons=reasons, figures=figures, best=_best(study), states=study.table.counts()
    )


def _headline(
    study: Study,
    statistics: Statistics,
    winner_returns: Floats | None,
    outside: dict[str, Any],
    holdout: dict[str, Any] | None,
) -> Headline:
    deflation = statistics.deflation
    annual = math.sqrt(study.per_year)
    sharpe = None if winner_returns is None else out_of_sample.annual_sharpe(winner_returns, study.per_year)
    return Headline(
        sharpe=sharpe,
        needed_sharpe=deflation.needed * annual if deflation else None,
        trials_counted=deflation.trials
        if deflation
        else len(study.table.numbers) + study.parameters.counted_before,
        effective_trials=deflation.independent if deflation else None,
        dsr=deflation.dsr if deflation else None,
        pbo=statistics.overfitting.pbo if statistics.overfitting else None,
        reality_check_p=statistics.snooping.reality_check_p if statistics.snooping else None,
        spa_p=statistics.snooping.spa_p if statistics.snooping else None,
        plateau=statistics.plateau.ratio if statistics.plateau else None,
        walk_forward_efficiency=(outside.get("walk_forward") or {}).get("efficiency"),
        holdout_sharpe=_sharpe_of_winner(study, holdout),
    )


def _best(study: Study) -> Best | None:
    table, winner = study.table, study.winner
    if winner is None:
        return None
    return Best(
        number=int(table.numbers[winner]), value=float(table.values[winner]), point=table.points[winner]
    )


def _holdout_remedy(study: Study) -> str:
    """Return how to test the winner on sealed data, where this report has not."""
    if study.parameters.holdout is None:
        return "add a holdout to the study"
    if study.evaluator is None:
        return "its own operation failed; promote the winner, which trains it on all data before the holdout"
    return "open the holdout when the search is finished"


def _untested_warnings(study: Study) -> list[dict[str, str]]:
    """Return a warning if finalists of a study of trainings have no result of their own operation."""
    tested = {finalist["number"] for finalist in study.tested}
    missing = [
        str(study.table.numbers[at]) for at in study.finalists if study.table.numbers[at] not in tested
    ]
    if study.evaluator is not None or not tested or not missing:
        return []
    message = f"Finalists without a result of their own: trials {', '.join(missing)}; see their operations."
    return [{"code": "untested_finalists", "message": message}]


def _warnings(study: Study, winner_returns: Floats | None) -> list[dict[str, str]]:
    warnings = [*_untested_warnings(study)]
    if not study.is_complete:
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
