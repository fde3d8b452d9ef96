"""Formulas over the bars of another symbol: joined on closed bars, audited, and refused while the bars are missing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.strategy.conftest import random_bars
from tests.quant.strategy.rules import conditions, rules_with
from workers.market_data.errors import MarketDataError
from workers.market_data.timeframes import close_times
from workers.strategy import features
from workers.strategy.features import NoVolume, attach_calendar, build_features, input_matrix
from workers.strategy.grammar import RulesStrategy, StrategyError
from workers.strategy.lookahead import LookAheadError, audit_features


def with_formulas(condition: str, **formulas: dict[str, Any]) -> RulesStrategy:
    def change(data: dict[str, Any]) -> None:
        conditions(long=condition)(data)
        data["indicators"] |= {name: {"type": "expression", **spec} for name, spec in formulas.items()}

    return rules_with(change)


SPY = {"expression": "close", "symbol": "SPY"}
NESTED = with_formulas(
    "ratio > 1 and momentum_gap > 0 and market@1w > 0",
    market=SPY,
    ratio={"expression": "close / mean(market, 3)"},
    market_rsi={"expression": "rsi_14 - 50", "symbol": "SPY"},
    momentum_gap={"expression": "rsi_14 - shift(market_rsi, 1)"},
)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    """The other symbol starts later, and lacks every fifth day and a month."""
    other = random_bars(500, seed=2)
    keep = np.arange(500) % 5 != 3
    keep[:30] = keep[200:222] = False
    return {"1d": random_bars(500, seed=1), "SPY/1d": other[keep]}


def columns_of(strategy: RulesStrategy, frames: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    attached = attach_calendar(strategy, frames)
    return dict(zip(strategy.input_names, input_matrix(strategy, attached).T, strict=True))


def test_a_value_of_another_symbol_is_that_of_its_newest_closed_bar(frames: dict[str, pd.DataFrame]) -> None:
    columns = columns_of(with_formulas("market > 0", market=SPY), frames)
    closes = {
        key: pd.to_datetime(close_times(pd.DatetimeIndex(bars.index), "1d", "weekdays"), utc=True)
        for key, bars in frames.items()
    }
    expected = pd.merge_asof(
        pd.DataFrame({"at": closes["1d"]}),
        pd.DataFrame({"at": closes["SPY/1d"], "close": frames["SPY/1d"]["close"].to_numpy()}),
        on="at",
        tolerance=pd.Timedelta(days=10),
    )["close"]
    np.testing.assert_array_equal(columns["market"], expected)
    assert np.isnan(columns["market"]).sum() > 30


def test_formulas_combine_symbols_timeframes_and_indicators(frames: dict[str, pd.DataFrame]) -> None:
    columns = columns_of(NESTED, frames)
    market = columns_of(with_formulas("market > 0", market=SPY), frames)["market"]
    close = frames["1d"]["close"].to_numpy()
    mean = pd.Series(market).rolling(3).mean().to_numpy()
    np.testing.assert_allclose(columns["ratio"], close / mean, rtol=1e-12)
    assert NESTED.other_symbols == ("SPY",)
    assert NESTED.files_of("XY") == {"1d": "XY/1d", "1w": "XY/1w", "SPY/1d": "SPY/1d", "SPY/1w": "SPY/1w"}


def test_the_audit_passes_honest_formulas_of_several_symbols(frames: dict[str, pd.DataFrame]) -> None:
    result = audit_features(NESTED, frames, build_features(NESTED, frames))
    assert result.largest_difference == 0.0
    assert result.cuts > 300


@pytest.mark.parametrize("sparse", [False, True])
def test_a_leak_of_the_other_symbol_is_reported(
    frames: dict[str, pd.DataFrame], sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar that follows the newest closed one is visible, in every row or in some."""
    original = features.build_views

    def see_the_next_bar(*arguments: Any) -> Any:
        views = original(*arguments)
        for view in views.values():
            for joined in view.joined.values():
                position, last = joined.position, len(joined.bars) - 1
                early = np.minimum(position + 1, last)
                some = np.arange(len(position)) % 20 == 0
                object.__setattr__(joined, "position", np.where(some, early, position) if sparse else early)
        return views

    with monkeypatch.context() as context:
        context.setattr(features, "build_views", see_the_next_bar)
        leaky = build_features(NESTED, frames)
    with pytest.raises(LookAheadError, match=r"uses future data|appears or disappears"):
        audit_features(NESTED, frames, leaky)


def test_missing_bars_of_the_other_symbol_are_named(frames: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(MarketDataError, match="the strategy needs SPY 1d bars; available: 1d"):
        build_features(NESTED, {"1d": frames["1d"]})


def test_volume_is_needed_of_the_symbol_that_the_formula_reads(frames: dict[str, pd.DataFrame]) -> None:
    strategy = with_formulas("flow > 0", flow={"expression": "volume", "symbol": "SPY"})
    without = frames["1d"].assign(volume=0.0)
    without.attrs = frames["1d"].attrs
    build_features(strategy, {**frames, "1d": without})
    with pytest.raises(NoVolume, match="flow"):
        build_features(strategy, {**frames, "SPY/1d": frames["SPY/1d"].assign(volume=0.0)})


@pytest.mark.parametrize("symbol", ["S P Y", 5, None], ids=["spaces", "number", "nothing"])
def test_a_wrong_symbol_is_refused(symbol: Any) -> None:
    with pytest.raises(StrategyError, match="must be a symbol such as SPY"):
        with_formulas("market > 0", market={"expression": "close", "symbol": symbol})


def test_symbols_of_unused_indicators_are_not_needed() -> None:
    assert with_formulas("close > 0", market=SPY).other_symbols == ()
