"""One backtest, from files to report: load, features, inference, decisions, engine, metrics, audits."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import audit, decisions, report, significance, tear_sheet, trust
from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import Metrics, compute, daily_returns
from workers.backtesting.parameters import BacktestParameters
from workers.backtesting.prediction import MODEL_WEIGHTS, Prepared, load, predict, spread_of, values
from workers.backtesting.rules import ENGINE_SEMANTICS
from workers.provenance import data_hashes, file_sha256, provenance
from workers.strategy.features import build_features

Floats = NDArray[np.float64]


class Job(Protocol):
    """What a backtest needs of the job it runs in."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    def progress(self, percentage: float, step: str | None = None) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


def run_backtest(parameters: BacktestParameters, job: Job) -> dict[str, Any]:
    """The operation's result; artifacts report.json, report.html, trades.csv, trades.parquet, equity.parquet. Raises InvalidInput."""
    job.progress(1, step="loading model and bars")
    prepared = load(parameters, job.inputs)
    strategy = prepared.strategy
    begun = time.monotonic()

    job.progress(10, step="features and inference")
    features = build_features(strategy, prepared.frames)
    known = int((features.index >= prepared.test.index[0]).sum())
    if known == 0:
        raise InvalidInput(
            "No bar of the test period has all inputs: the indicators' warm-up is longer than the data."
        )
    predictions = predict(prepared, features)
    wanted = decisions.targets(strategy.decisions, values(predictions), allow_short=parameters.allow_short)
    target = (
        pd.Series(wanted, index=predictions.index)
        .reindex(prepared.test.index, fill_value=0)
        .to_numpy(np.int8)
    )

    job.progress(50, step="simulation")
    short = strategy.decisions.allow_short if parameters.allow_short is None else parameters.allow_short
    rules = parameters.rules(allow_short=short)
    spread = spread_of(parameters, prepared.test)
    result = simulate(prepared.test, target, rules, spread, prepared.before)
    benchmark = buy_and_hold(prepared.test, rules, spread)
    own, hold = figures(result, parameters.trials), figures(benchmark, 1)

    job.progress(70, step="audits")
    run_s = time.monotonic() - begun
    stressed = trust.stress(prepared.test, target, rules, spread, prepared.before)
    audited = audit.decisions_see_no_future(
        prepared, features, predictions, wanted, allow_short=parameters.allow_short, run_s=run_s
    )
    returns, a_year = daily_returns(result.equity, rules.initial_capital, result.index)

    job.progress(90, step="report")
    answer: dict[str, Any] = {
        "metrics": own,
        "settings": settings(parameters, rules, prepared, spread),
        "benchmark": hold,
        "audit": {"look_ahead": audited, "sensitivity": stressed},
        "warnings": trust.warnings(
            result, own, stressed, prepared.model.trained, benchmark=hold, bars=prepared.test
        ),
        "confidence": significance.bootstrap(returns, a_year, parameters.seed),
        "bars": {"test": len(prepared.test), "with_all_inputs": known},
        "provenance": provenance(
            strategy_sha256=strategy.sha256,
            data=data_hashes(job.inputs),
            model_sha256=file_sha256(job.inputs[MODEL_WEIGHTS]),
            seed=parameters.seed,
            device="cpu",
        ),
    }
    answer["warnings"] += _artifacts(job, answer, result, benchmark, prepared)
    job.progress(100, step="done")
    return answer


def buy_and_hold(bars: pd.DataFrame, rules: Rules, spread: Floats | None = None) -> Result:
    """The benchmark: bought with everything at the first fill, through the same engine and costs."""
    plain = replace(
        rules,
        sizing="fraction",
        size=min(1.0, rules.max_leverage),
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
        stop_unit="fraction",
    )
    return simulate(bars, np.ones(len(bars), np.int8), plain, spread)


def figures(result: Result, trials: int) -> Metrics:
    return compute(
        pd.Series(result.equity, index=result.index),
        result.trades,
        initial_capital=result.rules.initial_capital,
        position=result.position,
        fees=result.fees,
        slippage_cost=result.slippage_cost,
        turnover=result.turnover,
        trials=trials,
    )


def settings(
    parameters: BacktestParameters, rules: Rules, prepared: Prepared, spread: Floats | None
) -> dict[str, Any]:
    """Every rule in force; where the spread is the data's own, `spread` is its mean."""
    return {
        "engine_semantics": ENGINE_SEMANTICS,
        **asdict(rules),
        "spread": rules.spread if spread is None else float(spread.mean()),
        "spread_source": "constant" if spread is None else "data",
        "symbol": parameters.symbol,
        "timeframe": prepared.strategy.base_timeframe,
        "start": prepared.test.index[0].isoformat(),
        "end": prepared.test.index[-1].isoformat(),
        "decisions": prepared.strategy.decisions.model_dump(mode="json"),
    }


def _artifacts(
    job: Job, answer: dict[str, Any], result: Result, benchmark: Result, prepared: Prepared
) -> list[dict[str, str]]:
    """Stores the files of the result; a report that cannot be drawn costs no result, but a warning."""
    job.artifact("trades.csv", result.trades.to_csv(index=False).encode())
    job.artifact("trades.parquet", _parquet(result.trades))
    equity = pd.DataFrame(
        {"equity": result.equity, "benchmark": benchmark.equity, "position": result.position},
        index=result.index,
    )
    job.artifact("equity.parquet", _parquet(equity.rename_axis("time").reset_index()))
    close: NDArray[np.float64] = np.asarray(prepared.test["close"], dtype=np.float64)
    try:
        drawn = report.build(result, benchmark, close, result.rules.initial_capital)
        job.artifact("report.json", json.dumps(drawn, allow_nan=False).encode())
        job.artifact("report.html", tear_sheet.render(answer, drawn).encode())
    except Exception as error:
        job.log(f"The report could not be drawn: {type(error).__name__}: {error}", level="error")
        return [
            {"code": "no_report", "message": f"The report could not be drawn ({error}); the figures stand."}
        ]
    return []


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
