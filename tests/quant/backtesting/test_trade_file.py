"""The files of bars and trades contain what the simulation did, trade by trade and bar by bar."""

import json
import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.backtesting.conftest import NewJob
from tests.quant.charts.chart_reader import read_index, read_levels
from tests.quant.learning.conftest import synthetic
from workers.backtesting import backtest_pipeline
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.backtesting.engine import Rules, simulate
from workers.backtesting.kernel_records import EXIT_REASONS
from workers.backtesting.trade_file import trade_file


def read_trades(content: bytes) -> tuple[dict[str, Any], pd.DataFrame]:
    (length,) = struct.unpack("<I", content[:4])
    index = json.loads(content[4 : 4 + length])
    assert (4 + length) % 8 == 0
    values = np.frombuffer(content[4 + length :], "<f8").reshape(len(index["columns"]), index["rows"])
    return index, pd.DataFrame(dict(zip(index["columns"], values, strict=True)))


@pytest.mark.parametrize("fill", ["next_open", "next_close", "same_close"])
@pytest.mark.parametrize(
    ("stops", "by_stop"),
    [
        ({"stop_loss": 0.01, "take_profit": 0.02}, True),
        ({"stop_loss": 1.0, "trailing_stop": 2.0, "stop_unit": "atr"}, True),
        ({}, False),
    ],
)
def test_a_stop_that_is_hit_loses_about_one_r(fill: str, stops: dict[str, Any], by_stop: bool) -> None:
    bars = synthetic(5, n=600)
    target = np.where(np.arange(600) // 15 % 2 == 0, 1, -1).astype(np.int8)
    rules = Rules(commission=0.0, slippage=0.0, spread=0.0, fill=fill, **stops)  # type: ignore[arg-type]
    result = simulate(bars, target, rules)
    index, trades = read_trades(trade_file(result.trades, bars, None, rules, 2))
    assert index["rows"] == len(result.trades) > 10
    np.testing.assert_allclose(trades["pnl"], result.trades["pnl"])
    closed = result.trades["exit_index"].to_numpy() >= 0
    held = (result.trades["exit_index"] - result.trades["entry_index"]).to_numpy()
    assert trades["bars"][closed].tolist() == held[closed].tolist()
    assert trades["exit_time"].isna().tolist() == (~closed).tolist()
    if not by_stop:
        assert trades[["stop", "target", "r"]].isna().all(axis=None)
        return
    stopped = trades[trades["reason"] == EXIT_REASONS.index("stop_loss")]
    at_stop = np.isclose(stopped["exit_price"], stopped["stop"])
    assert at_stop.sum() > 3
    np.testing.assert_allclose(stopped["r"][at_stop], -1.0)


def test_the_chart_of_a_backtest_has_every_bar_of_its_test_period(new_job: NewJob) -> None:
    job = new_job()
    result = run_backtest(BacktestParameters(symbol="AAA"), job)
    index, _ = read_index(job.artifacts["chart.bin"])
    chart = read_levels(job.artifacts["chart.bin"])[index["timeframe"]]
    equity = pd.read_parquet(pd.io.common.BytesIO(job.artifacts["equity.parquet"]))
    assert chart.index.tolist() == [time.timestamp() for time in equity["time"]]
    np.testing.assert_allclose(chart["equity"], equity["equity"], atol=0.006)
    np.testing.assert_allclose(chart["hold"], equity["benchmark"], atol=0.006)
    assert (np.sign(chart["exposure"]) == np.sign(equity["position"].to_numpy())).all()
    probabilities = chart[["short", "flat", "long"]].dropna()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=2e-4)
    assert index["threshold"] == result["settings"]["decisions"]["confidence_threshold"]
    trades, _ = read_trades(job.artifacts["trades.bin"])
    assert trades["rows"] == len(pd.read_csv(pd.io.common.BytesIO(job.artifacts["trades.csv"])))


def test_an_error_of_the_chart_is_a_warning(new_job: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> bytes:
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr(backtest_pipeline, "backtest_chart", fail)
    job = new_job()
    result = run_backtest(BacktestParameters(symbol="AAA"), job)
    assert "no_chart" in [warning.get("code") for warning in result["warnings"]]
    assert "chart.bin" not in job.artifacts
