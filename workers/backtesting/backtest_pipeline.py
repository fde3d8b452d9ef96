"""Run a backtest, from files to report: load, decide, simulate, measure, audit."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import backtest_report, decision_source, no_trades, significance, tear_sheet
from workers.backtesting.backtest_inputs import BacktestInputs, ModelInputs, RulesInputs, load_inputs
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_warnings import collect_warnings
from workers.backtesting.decision_source import Decided
from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.engine_rules import ENGINE_SEMANTICS
from workers.backtesting.gross import gross_figures
from workers.backtesting.metrics import Metrics, compute
from workers.backtesting.periods import Periods, periods_of
from workers.backtesting.relation import reference_returns
from workers.backtesting.sensitivity import simulate_worse_conditions
from workers.backtesting.spread import data_spread
from workers.backtesting.trade_file import trade_file
from workers.charts.backtest import backtest_chart
from workers.charts.market import decimals_of
from workers.charts.strategy_lines import strategy_lines
from workers.market_data.calendars import calendar_of
from workers.provenance import data_hashes, provenance
from workers.report_parts import missing_parts_warnings

Floats = NDArray[np.float64]


class Job(Protocol):
    """The part of a job that a backtest uses."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    def progress(self, percentage: float, step: str | None = None) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


def run_backtest(parameters: BacktestParameters, job: Job) -> dict[str, Any]:
    """Return the operation's result. Raises InvalidInput.

    Artifacts: report.json, report.html, trades.csv, trades.parquet, trades.bin, equity.parquet, chart.bin.
    """
    job.progress(1, step="loading model and bars")
    inputs = load_inputs(parameters, job.inputs)

    job.progress(10, step="inputs and decisions")
    decided = decision_source.decide(inputs, job.inputs, allow_short=parameters.allow_short)

    job.progress(50, step="simulation")
    runs = _simulate(parameters, inputs, decided.target)

    job.progress(70, step="audits")
    sensitivity = simulate_worse_conditions(
        inputs.test_bars, decided.target, runs.result, inputs.earlier_bars
    )
    audit = {"look_ahead": decided.audit(), "sensitivity": sensitivity}

    job.progress(90, step="report")
    operation_result = _compose_result(parameters, inputs, decided, runs, audit, data_hashes(job.inputs))
    operation_result["warnings"] += _store_artifacts(job, operation_result, runs, inputs)
    operation_result["warnings"] += _store_chart(job, runs, inputs, decided)
    job.progress(100, step="done")
    return operation_result


@dataclass(frozen=True, slots=True)
class _Runs:
    """The simulation of the decisions and that of the benchmark, with their metrics."""

    result: Result
    benchmark: Result
    calendar: str
    periods: Periods
    metrics: Metrics
    benchmark_metrics: Metrics


def _simulate(
    parameters: BacktestParameters, inputs: ModelInputs | RulesInputs, target: NDArray[np.int8]
) -> _Runs:
    own = inputs.strategy.allow_short
    may_short = own if parameters.allow_short is None else parameters.allow_short
    rules = parameters.rules(allow_short=may_short)
    result = simulate(inputs.test_bars, target, rules, before=inputs.earlier_bars)
    benchmark = simulate_buy_and_hold(inputs.test_bars, rules)
    calendar = calendar_of(inputs.base_bars)
    return _Runs(
        result,
        benchmark,
        calendar,
        periods_of(result.index, calendar),
        compute_metrics(result, calendar, parameters.trials, parameters.trial_sharpes),
        compute_metrics(benchmark, calendar),
    )


def _compose_result(
    parameters: BacktestParameters,
    inputs: ModelInputs | RulesInputs,
    decided: Decided,
    runs: _Runs,
    audit: dict[str, Any],
    data: dict[str, str],
) -> dict[str, Any]:
    """Return the operation's result without the warnings of files that cannot be built."""
    warnings = collect_warnings(
        runs.result,
        runs.metrics,
        audit["sensitivity"],
        decided.training_period,
        benchmark=runs.benchmark_metrics,
        bars=inputs.test_bars,
    )
    returns = runs.periods.returns(runs.result.equity, runs.result.rules.initial_capital)
    return {
        "metrics": runs.metrics,
        "settings": settings_in_force(parameters, runs.result, inputs, runs.calendar),
        "benchmark": runs.benchmark_metrics,
        "gross": gross_figures(
            inputs.test_bars, decided.target, runs.result, runs.calendar, inputs.earlier_bars
        ),
        "audit": audit,
        "warnings": _with_explanation([*warnings, *decided.warnings], runs.result, decided),
        "trials": {
            "backtests": max(parameters.trials - parameters.training_trials, 0),
            "trainings": parameters.training_trials,
        },
        "confidence": significance.bootstrap(returns, runs.periods.per_year, parameters.seed),
        "bars": {"test": len(inputs.test_bars), "with_all_inputs": decided.complete_bars},
        "provenance": provenance(
            strategy_sha256=inputs.strategy.sha256,
            data=data,
            model_sha256=decided.model_sha256,
            seed=parameters.seed,
            device="cpu",
        ),
        **decided.result,
    }


def _with_explanation(
    warnings: list[dict[str, str]], result: Result, decided: Decided
) -> list[dict[str, str]]:
    """Replace what follows from having no trades by the reason why there are none."""
    if result.entries:
        return warnings
    reasons = [*decided.explain_no_trades(), *no_trades.refusal_reasons(result.refused)]
    return [no_trades.explain(reasons), *no_trades.without_repetitions(warnings)]


def simulate_buy_and_hold(bars: pd.DataFrame, rules: Rules) -> Result:
    """Simulate the benchmark: long from the first fill on, with the same engine, costs and sizing, without stops."""
    plain = replace(
        rules,
        allow_long=True,
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
        stop_unit="fraction",
    )
    return simulate(bars, np.ones(len(bars), np.int8), plain)


def compute_metrics(
    result: Result, calendar: str, trials: int = 1, trial_sharpes: Sequence[float] = ()
) -> Metrics:
    """Return the metrics of a run. `trial_sharpes`: per observation, of other trials; its own is added to them."""
    of_all_trials = partial(
        compute,
        pd.Series(result.equity, index=result.index),
        result.trades,
        initial_capital=result.rules.initial_capital,
        calendar=calendar,
        position=result.position,
        fees=result.fees,
        slippage_cost=result.slippage_cost,
        turnover=result.turnover,
        trials=trials,
    )
    metrics = of_all_trials()
    annual, per_year = metrics["sharpe"], metrics["periods_per_year"]
    if not trial_sharpes or not isinstance(annual, float) or not isinstance(per_year, float):
        return metrics
    return of_all_trials(trial_sharpes=np.array([*trial_sharpes, annual / math.sqrt(per_year)]))


def settings_in_force(
    parameters: BacktestParameters, result: Result, inputs: ModelInputs | RulesInputs, calendar: str
) -> dict[str, Any]:
    """Return every rule in force; if the spread is from the data, `spread` is its mean."""
    from_data = result.rules.spread is None and data_spread(inputs.test_bars, result.rules) is not None
    return {
        "engine_semantics": ENGINE_SEMANTICS,
        **asdict(result.rules),
        "spread": float(result.spread.mean()) if from_data else result.rules.spread or 0.0,
        "spread_source": "data" if from_data else "constant",
        "symbol": parameters.symbol,
        "reference": parameters.reference,
        "timeframe": inputs.strategy.base_timeframe,
        "calendar": calendar,
        "start": inputs.test_bars.index[0].isoformat(),
        "end": inputs.test_bars.index[-1].isoformat(),
        "decisions": inputs.strategy.decisions.model_dump(mode="json"),
    }


def _store_artifacts(
    job: Job, operation_result: dict[str, Any], runs: _Runs, inputs: BacktestInputs
) -> list[dict[str, str]]:
    """Store the files of the result; return a warning for each part of the report that cannot be built."""
    result, benchmark = runs.result, runs.benchmark
    job.artifact("trades.csv", result.trades.to_csv(index=False).encode())
    job.artifact("trades.parquet", _parquet(result.trades))
    equity = pd.DataFrame(
        {"equity": result.equity, "benchmark": benchmark.equity, "position": result.position},
        index=result.index,
    )
    job.artifact("equity.parquet", _parquet(equity.rename_axis("time").reset_index()))
    close: NDArray[np.float64] = np.asarray(inputs.test_bars["close"], dtype=np.float64)
    try:
        report, errors = backtest_report.build_report(
            result, benchmark, close, runs.periods, _other_returns(operation_result["settings"], runs, inputs)
        )
        job.artifact("report.json", json.dumps(report, allow_nan=False).encode())
        if not errors:
            job.artifact("report.html", tear_sheet.render(operation_result, report).encode())
    except Exception as error:
        job.log(f"Could not build the report: {type(error).__name__}: {error}", level="error")
        message = f"Could not build the report ({error}); the metrics are not affected."
        return [{"code": "no_report", "message": message}]
    for name, reason in errors.items():
        job.log(f"Could not build {name} of the report: {type(reason).__name__}: {reason}", level="error")
    return missing_parts_warnings(errors, "the metrics are")


def _other_returns(settings: dict[str, Any], runs: _Runs, inputs: BacktestInputs) -> dict[str, Floats]:
    if inputs.reference is None:
        return {}
    return {settings["reference"]: reference_returns(inputs.reference, runs.result.index, runs.periods)}


def _store_chart(job: Job, runs: _Runs, inputs: BacktestInputs, decided: Decided) -> list[dict[str, str]]:
    """Store the bars with predictions and equity, and the trades, as a page reads them; return a warning on an error."""
    result, bars = runs.result, inputs.test_bars
    try:
        chart = backtest_chart(
            bars,
            inputs.strategy.base_timeframe,
            runs.calendar,
            equity=result.equity,
            benchmark=runs.benchmark.equity,
            position=result.position,
            predictions=decided.predictions,
            threshold=decided.threshold,
            lines=strategy_lines(inputs.strategy, inputs.frames, len(bars)),
        )
        trades = trade_file(result.trades, bars, inputs.earlier_bars, result.rules, decimals_of(bars))
    except Exception as error:
        job.log(f"Could not draw the bars: {type(error).__name__}: {error}", level="error")
        message = f"Could not draw the bars and trades ({error}); the metrics are not affected."
        return [{"code": "no_chart", "message": message}]
    job.artifact("chart.bin", chart)
    job.artifact("trades.bin", trades)
    return []


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
