"""The audit of the inputs: it reports every planted leak, dense or sparse, and no honest strategy."""

from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from tests.quant.strategy.conftest import MINIMAL, random_bars, strategy_with
from workers.market_data import sessions
from workers.strategy import views
from workers.strategy.features import attach_calendar, build_features
from workers.strategy.grammar import Strategy
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.lookahead import (
    CUTS,
    FeatureAudit,
    LookAheadError,
    audit_features,
    early_rows,
)
from workers.strategy.views import Frames, build_views
from workers.strategy.windows import inputs_from_windows

_FORGETTING = sorted(set(INDICATORS) - {"parabolicsar", "supertrend"})
"""The others depend on the last turn of the trend, which may lie before any window."""


def on_timeframes(base: str, *others: str, **model: Any) -> Strategy:
    def change(data: dict[str, Any]) -> None:
        timeframes = {"mode": "multi_timeframe", "list": [base, *others], "base_timeframe": base}
        data["training_data"]["timeframes"] = timeframes
        data["nn_inputs"] = [{"raw_indicator": "rsi_14", "timeframes": [base, *others]}]
        data["model"] |= model

    return strategy_with(change)


WEEKLY = on_timeframes("1d", "1w")


def of_indicator(kind: str, timeframe: str = "1d") -> Strategy:
    """Every output of one indicator as inputs."""

    def change(data: dict[str, Any]) -> None:
        data["training_data"]["timeframes"]["timeframe"] = timeframe
        parameters = {each.name: each.default for each in INDICATORS[kind].parameters}
        data["indicators"] = {"x": {"type": kind, **parameters}}
        data["nn_inputs"] = [{"raw_indicator": f"x.{output.name}"} for output in INDICATORS[kind].outputs]
        del data["fuzzy_sets"]

    return strategy_with(change)


def audit(strategy: Strategy, bars: pd.DataFrame, leaky: pd.DataFrame | None = None) -> FeatureAudit:
    frames = {strategy.base_timeframe: bars}
    return audit_features(strategy, frames, build_features(strategy, frames) if leaky is None else leaky)


def test_the_audit_passes_causal_features(bars: pd.DataFrame) -> None:
    result = audit(WEEKLY, bars)
    assert result.cuts == CUTS + 1
    assert result.largest_difference == 0.0
    assert set(result.as_data()) == {"cuts", "rows_compared", "largest_difference", "seconds"}


@pytest.mark.parametrize("kind", sorted(INDICATORS))
@pytest.mark.parametrize("seed", range(3))
def test_the_audit_passes_every_indicator(kind: str, seed: int) -> None:
    timeframe, freq = ("1h", "1h") if seed == 1 else ("1d", "B")
    assert audit(of_indicator(kind, timeframe), random_bars(700, seed, freq=freq)).largest_difference == 0.0


@pytest.mark.parametrize("kind", _FORGETTING)
def test_a_window_determines_the_value_of_its_last_bar(kind: str) -> None:
    """Otherwise the audit would suspect honest rows, and spend time on confirming that nothing is wrong."""
    strategy, bars = of_indicator(kind), random_bars(4000, 3)
    frames = attach_calendar(strategy, {"1d": bars})
    rows = np.arange(300, 4000, 37)
    values, computed = inputs_from_windows(strategy, build_views(strategy, frames), rows)
    expected = build_features(strategy, frames).reindex(bars.index[rows]).to_numpy()
    assert computed.all()
    np.testing.assert_allclose(values, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("base", "others", "model"),
    [
        ("1d", ("1w",), {}),
        ("1h", ("1d",), {}),
        ("1h", ("4h", "1d", "1w"), {"features": {"lookback_periods": 5}}),
    ],
)
def test_windows_of_several_timeframes_and_earlier_bars_give_the_same_inputs(
    base: str, others: tuple[str, ...], model: dict[str, Any]
) -> None:
    strategy = on_timeframes(base, *others, **model)
    bars = random_bars(6000, 4, freq="B" if base == "1d" else "1h")
    frames = attach_calendar(strategy, {base: bars})
    full = build_features(strategy, frames)
    rows = bars.index.get_indexer(full.index)[::53]
    values, computed = inputs_from_windows(strategy, build_views(strategy, frames), rows)
    assert computed.all()
    np.testing.assert_allclose(values, full.to_numpy()[::53], rtol=0, atol=0.01)


def test_missing_prices_and_volume_that_starts_later_are_no_leak() -> None:
    bars = random_bars(800, 5)
    bars.iloc[300:304, bars.columns.get_loc("close")] = np.nan
    bars.iloc[:500, bars.columns.get_loc("volume")] = 0.0
    for kind in ("mfi", "rsi", "kama"):
        audit(of_indicator(kind), bars)


def test_the_cut_from_the_first_bar_is_cheap_and_well_inside_longer_bars() -> None:
    hour, day = 3_600_000_000_000, sessions.NANOSECONDS_A_DAY
    hours = np.arange(60_000) * hour
    assert early_rows(hours[:300], []) == [100]
    assert early_rows(hours, []) == [1200]
    (row,) = early_rows(hours, [day, 7 * day])
    assert 1200 <= row < 1400
    assert pd.Timestamp(hours[row]).day_name() in ("Tuesday", "Wednesday", "Thursday")
    assert early_rows(hours, [2 * hour]) == [1201]
    assert early_rows(hours[:1], [day]) == [0]
    new_york = hours[(hours // hour % 24 >= 14) & (hours // hour % 24 < 21)]
    assert len(early_rows(new_york, [day])) == 2


def test_the_same_bars_are_audited_on_every_machine(bars: pd.DataFrame) -> None:
    first, second = audit(WEEKLY, bars), audit(WEEKLY, bars)
    assert (first.cuts, first.rows_compared) == (second.cuts, second.rows_compared)


def scale_over_all_rows(strategy: Strategy, frames: Frames) -> pd.DataFrame:
    """A leak that is easily made: scaling over all rows before splitting."""
    features = build_features(strategy, frames)
    return features / features.max()


def peek_at_next_row(strategy: Strategy, frames: Frames) -> pd.DataFrame:
    features = build_features(strategy, frames)
    features["1d_rsi_14_raw"] = features["1d_rsi_14_raw"].shift(-1).ffill()
    return features


@pytest.mark.parametrize("build", [scale_over_all_rows, peek_at_next_row])
def test_the_audit_reports_a_planted_leak(build: Any, bars: pd.DataFrame) -> None:
    """Lessons Q5 and Q7."""
    with pytest.raises(LookAheadError, match=r"the input 1[dw]_rsi_14_raw at .* uses future data"):
        audit_features(WEEKLY, {"1d": bars}, build(WEEKLY, {"1d": bars}), build=build)


@pytest.mark.parametrize("base", ["1d", "1h"])
def test_a_forming_bar_of_a_longer_timeframe_is_reported(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lesson Q6: each row of a week or day has the values at its end."""
    original = views.resample

    def closed_at_once(*arguments: Any) -> Any:
        bars, _ = original(*arguments)
        return bars, np.asarray(bars.index.as_unit("ns").astype("int64"))

    strategy = on_timeframes(base, "1w" if base == "1d" else "1d")
    bars = random_bars(1500, 2, freq="B" if base == "1d" else "1h")
    monkeypatch.setattr(views, "resample", closed_at_once)
    with pytest.raises(LookAheadError, match=r"1[wd]_rsi_14_raw"):
        audit(strategy, bars)


def next_row_in(features: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Return `features` with the next row's values in this share of the rows."""
    leaks = np.flatnonzero(np.random.default_rng(seed).random(len(features) - 1) < share)
    leaky = features.copy()
    leaky.iloc[leaks] = features.to_numpy()[leaks + 1]
    return leaky


@pytest.mark.parametrize("strategy", [WEEKLY, strategy_with(lambda data: None)], ids=["raw", "fuzzy"])
@pytest.mark.parametrize("share", [0.05, 0.01])
def test_the_audit_reports_a_leak_in_few_rows(strategy: Strategy, share: float) -> None:
    bars = random_bars(3000, 6)
    full = build_features(strategy, {"1d": bars})
    missed = 0
    for seed in range(20):
        try:
            audit(strategy, bars, next_row_in(full, share, seed))
            missed += 1
        except LookAheadError:
            pass
    assert missed <= (1 if share < 0.05 else 0)


def test_the_audit_reports_a_fuzzy_set_fitted_on_all_rows(bars: pd.DataFrame) -> None:
    """The run uses memberships that were fitted to the data, not those of the strategy file."""
    low, high = MINIMAL["fuzzy_sets"]["momentum"]["low"], MINIMAL["fuzzy_sets"]["momentum"]["high"]
    fitted = strategy_with(
        lambda data: data["fuzzy_sets"]["momentum"].update(low=[*low[:3], 51.3], high=[38.7, *high[1:]])
    )
    with pytest.raises(LookAheadError, match="1d_momentum_low"):
        audit(strategy_with(lambda data: None), bars, build_features(fitted, {"1d": bars}))


def test_frames_cut_at_many_bars_build_no_exchange_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building one takes 0.2 to 0.4 s."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(exchange_calendars, "get_calendar", fail)
    bars = random_bars(900, start="2010-01-04")
    bars.attrs["calendar"] = "XNYS"
    assert audit(WEEKLY, bars).largest_difference == 0.0
