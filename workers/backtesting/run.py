"""One backtest, from files to report: load, features, inference, decisions, engine, metrics, audits."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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
from workers.backtesting.rules import ENGINE_SEMANTICS
from workers.learning.model_files import TrainedModel, load_model
from workers.market_data.bars import read_bars
from workers.provenance import data_hashes, file_sha256, provenance
from workers.strategy.features import build_features
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy

MODEL_WEIGHTS, MODEL_DESCRIPTION = "model/model.safetensors", "model/model.json"


class Job(Protocol):
    """What a backtest needs of the job it runs in."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    def progress(self, percentage: float, step: str | None = None) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    strategy: Strategy
    model: TrainedModel
    frames: dict[str, pd.DataFrame]
    """Bars by timeframe, up to the end of the test; what lies before its start warms the indicators up."""
    test: pd.DataFrame
    """Bars of the base timeframe inside the test period."""


def run_backtest(parameters: BacktestParameters, job: Job) -> dict[str, Any]:
    """The operation's result; artifacts report.json, report.html, trades.csv, trades.parquet, equity.parquet. Raises InvalidInput."""
    job.progress(1, step="loading model and bars")
    prepared = load(parameters, job.inputs)
    strategy = prepared.strategy
    begun = time.monotonic()

    job.progress(10, step="features and inference")
    predictions = predict(prepared)
    wanted = decisions.targets(strategy.decisions, values(predictions), allow_short=parameters.allow_short)
    target = (
        pd.Series(wanted, index=predictions.index)
        .reindex(prepared.test.index, fill_value=0)
        .to_numpy(np.int8)
    )
    known = int(predictions.index.isin(prepared.test.index).sum())
    if known == 0:
        raise InvalidInput(
            "No bar of the test period has all inputs: the indicators' warm-up is longer than the data."
        )

    job.progress(50, step="simulation")
    short = strategy.decisions.allow_short if parameters.allow_short is None else parameters.allow_short
    rules = parameters.rules(allow_short=short)
    result = simulate(prepared.test, target, rules)
    benchmark = buy_and_hold(prepared.test, rules)
    own, hold = figures(result, parameters.trials), figures(benchmark, 1)

    job.progress(70, step="audits")
    stressed = trust.stress(prepared.test, target, rules)
    audited = audit.decisions_see_no_future(
        prepared, parameters, predictions, wanted, time.monotonic() - begun
    )
    returns, a_year = daily_returns(result.equity, rules.initial_capital, result.index)

    job.progress(90, step="report")
    answer: dict[str, Any] = {
        "metrics": own,
        "settings": settings(parameters, rules, prepared),
        "benchmark": hold,
        "audit": {"look_ahead": audited, "sensitivity": stressed},
        "warnings": trust.warnings(result, own, stressed, prepared.model.trained),
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


def load(parameters: BacktestParameters, inputs: Mapping[str, Path]) -> Prepared:
    missing = [name for name in (MODEL_WEIGHTS, MODEL_DESCRIPTION) if name not in inputs]
    if missing:
        raise InvalidInput("A backtest needs a trained model: name a COMPLETED training as `model`.")
    model = load_model(inputs[MODEL_WEIGHTS], inputs[MODEL_DESCRIPTION])
    strategy = _strategy(parameters, model)
    base = strategy.base_timeframe
    if parameters.timeframe not in (None, base):
        raise InvalidInput(
            f"The strategy's bars are {base}; a backtest on {parameters.timeframe} would be another strategy."
        )
    frames = {}
    for timeframe in strategy.timeframes:
        path = inputs.get(f"bars/{parameters.symbol}/{timeframe}.parquet")
        if path is not None:
            frames[timeframe] = _until(read_bars(path), parameters)
    if base not in frames:
        raise InvalidInput(f"There are no {base} bars of {parameters.symbol}.")
    test = _from(frames[base], parameters)
    if len(test) == 0:
        raise InvalidInput(
            f"There are no {base} bars of {parameters.symbol} between {parameters.start_date or 'the beginning'} "
            f"and {parameters.end_date or 'the end'}."
        )
    return Prepared(strategy, model, frames, test)


def _strategy(parameters: BacktestParameters, model: TrainedModel) -> Strategy:
    if parameters.strategy_yaml is None:
        return parse_strategy(model.description.strategy_text)
    try:
        strategy = parse_strategy(parameters.strategy_yaml)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error
    model.fits(strategy)
    return strategy


def _until(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.end_date is None:
        return bars
    return bars[bars.index < pd.Timestamp(parameters.end_date, tz="UTC") + pd.Timedelta(days=1)]


def _from(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.start_date is None:
        return bars
    return bars[bars.index >= pd.Timestamp(parameters.start_date, tz="UTC")]


def predict(prepared: Prepared, frames: dict[str, pd.DataFrame] | None = None) -> pd.DataFrame:
    """One row per bar that has all inputs, from the test's start on. An inference error fails the backtest."""
    frames = prepared.frames if frames is None else frames
    features = build_features(prepared.strategy, frames)
    bars = pd.DatetimeIndex(frames[prepared.strategy.base_timeframe].index)
    predictions = prepared.model.predict(features, bars)
    return pd.DataFrame(predictions, index=features.index).loc[prepared.test.index[0] :]


def values(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """float64[n, 3] probabilities or float64[n] forecasts, as `decisions` wants them."""
    found: NDArray[np.float64] = predictions.to_numpy(dtype=np.float64)
    return found[:, 0] if found.shape[1] == 1 else found


def buy_and_hold(bars: pd.DataFrame, rules: Rules) -> Result:
    """The benchmark: bought with everything at the first fill, through the same engine and costs."""
    plain = replace(
        rules,
        sizing="fraction",
        size=min(1.0, rules.max_leverage),
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
    )
    return simulate(bars, np.ones(len(bars), np.int8), plain)


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


def settings(parameters: BacktestParameters, rules: Rules, prepared: Prepared) -> dict[str, Any]:
    """Every rule in force."""
    return {
        "engine_semantics": ENGINE_SEMANTICS,
        **asdict(rules),
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
