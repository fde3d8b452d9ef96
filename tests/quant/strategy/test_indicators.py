"""The code matches the catalog: names, outputs, ranges, warm-up, causality."""

import numpy as np
import pandas as pd
import pytest
import talib

from tests.quant.strategy.conftest import random_bars
from workers.strategy.catalog import MEMBERSHIPS, PRICE_SOURCES, catalog_as_data
from workers.strategy.indicator_catalog import EXPRESSION, INDICATORS
from workers.strategy.indicator_expressions import warm_up_rows
from workers.strategy.indicators import compute
from workers.strategy.indicators.compute import FUNCTIONS
from workers.strategy.sections.model_inputs import Indicator, Membership

NAMES = sorted(INDICATORS)


def defaults(name: str) -> dict[str, int | float | str | bool]:
    return {parameter.name: parameter.default for parameter in INDICATORS[name].parameters}


def warm_up_of(name: str) -> int:
    return warm_up_rows({"x": Indicator(type=name, parameters=defaults(name))}, "x")


def test_the_catalog_and_the_code_have_the_same_indicators() -> None:
    assert set(INDICATORS) == {*FUNCTIONS, EXPRESSION}


def test_the_catalog_and_the_grammar_have_the_same_memberships() -> None:
    assert set(MEMBERSHIPS) == set(Membership.model_json_schema()["properties"]["type"]["enum"])


def test_the_catalog_is_plain_data() -> None:
    data = catalog_as_data(INDICATORS)
    assert {entry["name"] for entry in data["indicators"]} == set(INDICATORS)
    rsi = next(entry for entry in data["indicators"] if entry["name"] == "rsi")
    assert rsi["outputs"] == ({"name": "value", "low": 0, "high": 100},)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_warm_up_match_the_catalog(name: str, bars: pd.DataFrame) -> None:
    entry = INDICATORS[name]
    warm_up = warm_up_of(name)
    results = compute(name, bars, **defaults(name))
    assert list(results) == [output.name for output in entry.outputs]
    for values in results.values():
        assert len(values) == len(bars)
        assert np.isnan(values[:warm_up]).all()
        assert np.isfinite(values[warm_up:]).all()


@pytest.mark.parametrize("name", NAMES)
def test_values_are_within_the_range_in_the_catalog(name: str, bars: pd.DataFrame) -> None:
    for output in INDICATORS[name].outputs:
        values = compute(name, bars, **defaults(name))[output.name]
        finite = values[~np.isnan(values)]
        assert output.low is None or finite.min() >= output.low - 1e-9
        assert output.high is None or finite.max() <= output.high + 1e-9
        assert np.ptp(finite) > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [97, 251, 599])
def test_no_value_changes_when_the_future_is_missing(name: str, cut: int, bars: pd.DataFrame) -> None:
    """Lesson Q7."""
    complete, shortened = (
        compute(name, bars, **defaults(name)),
        compute(name, bars.iloc[:cut], **defaults(name)),
    )
    for output, values in shortened.items():
        np.testing.assert_allclose(values, complete[output][:cut], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_value_only_restarts_the_warm_up(name: str, bars: pd.DataFrame) -> None:
    spoiled = bars.copy()
    spoiled.iloc[300] = np.nan
    warm_up = warm_up_of(name)
    fresh = compute(name, bars.iloc[301:], **defaults(name))
    for output, values in compute(name, spoiled, **defaults(name)).items():
        assert np.isnan(values[300 : 301 + warm_up]).all()
        np.testing.assert_array_equal(values[301:], fresh[output])


@pytest.mark.parametrize("name", NAMES)
def test_fewer_bars_than_the_warm_up_give_no_value_and_no_error(name: str, bars: pd.DataFrame) -> None:
    warm_up = warm_up_of(name)
    for values in compute(name, bars.iloc[: max(warm_up, 1)], **defaults(name)).values():
        assert np.isnan(values[:warm_up]).all()


@pytest.mark.parametrize("name", NAMES)
def test_constant_prices_without_volume_give_finite_values(name: str) -> None:
    flat = random_bars(150)
    flat[["open", "high", "low", "close"]] = 50.0
    flat["volume"] = 0.0
    warm_up = warm_up_of(name)
    for values in compute(name, flat, **defaults(name)).values():
        assert np.isfinite(values[warm_up:]).all()


def test_values_equal_ta_lib(bars: pd.DataFrame) -> None:
    high, low, close, volume = (bars[name].to_numpy() for name in ("high", "low", "close", "volume"))
    macd, signal, histogram = talib.MACD(close, 8, 21, 5)
    k, d = talib.STOCH(high, low, close, fastk_period=10, slowk_period=3, slowd_period=4)
    upper, middle, lower = talib.BBANDS(close, 15, 2.5, 2.5)
    down, up = talib.AROON(high, low, 25)
    expected = [
        (compute("rsi", bars, period=9)["value"], talib.RSI(close, 9)),
        (compute("sma", bars, period=9, source="hl2")["value"], talib.SMA((high + low) / 2, 9)),
        (compute("ema", bars, period=9)["value"], talib.EMA(close, 9)),
        (compute("wma", bars, period=9)["value"], talib.WMA(close, 9)),
        (compute("dema", bars, period=9)["value"], talib.DEMA(close, 9)),
        (compute("tema", bars, period=9)["value"], talib.TEMA(close, 9)),
        (compute("kama", bars, period=9)["value"], talib.KAMA(close, 9)),
        (compute("macd", bars, fast=8, slow=21, signal=5)["line"], macd),
        (compute("macd", bars, fast=8, slow=21, signal=5)["signal"], signal),
        (compute("macd", bars, fast=8, slow=21, signal=5)["histogram"], histogram),
        (compute("stochastic", bars, k_period=10, d_period=4)["k"], k),
        (compute("stochastic", bars, k_period=10, d_period=4)["d"], d),
        (compute("bbands", bars, period=15, multiplier=2.5)["upper"], upper),
        (compute("bbands", bars, period=15, multiplier=2.5)["middle"], middle),
        (compute("bbands", bars, period=15, multiplier=2.5)["lower"], lower),
        (compute("aroon", bars, period=25)["up"], up),
        (compute("aroon", bars, period=25)["down"], down),
        (compute("atr", bars)["value"], talib.ATR(high, low, close, 14)),
        (compute("natr", bars)["value"], talib.NATR(high, low, close, 14)),
        (compute("adx", bars)["adx"], talib.ADX(high, low, close, 14)),
        (compute("adx", bars)["plus_di"], talib.PLUS_DI(high, low, close, 14)),
        (compute("cci", bars)["value"], talib.CCI(high, low, close, 20)),
        (compute("williamsr", bars)["value"], talib.WILLR(high, low, close, 14)),
        (compute("roc", bars)["value"], talib.ROC(close, 10)),
        (compute("momentum", bars)["value"], talib.MOM(close, 10)),
        (compute("roc", bars, period=1)["value"][1:], 100.0 * (close[1:] / close[:-1] - 1.0)),
        (compute("momentum", bars, period=1)["value"][1:], np.diff(close)),
        (compute("obv", bars)["value"], talib.OBV(close, volume)),
        (compute("adline", bars)["value"], talib.AD(high, low, close, volume)),
        (compute("mfi", bars)["value"], talib.MFI(high, low, close, volume, 14)),
        (compute("parabolicsar", bars)["value"], talib.SAR(high, low, 0.02, 0.2)),
    ]
    for ours, theirs in expected:
        defined = ~np.isnan(ours) & ~np.isnan(theirs)
        assert defined.sum() > 500
        np.testing.assert_allclose(ours[defined], theirs[defined], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_adx_and_cci_equal_ta_lib_to_the_last_bit(seed: int) -> None:
    """At any period and number of bars; bars without a range, and prices that do not move, included."""
    random = np.random.default_rng(seed)
    for _ in range(10):
        n, period = int(random.integers(80, 900)), int(random.integers(2, 40))
        move = random.choice([0.0, 1e-4, 0.01, 0.05])
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, move, n))), int(random.integers(0, 6)))
        reach = random.choice([0, 0.01]) * random.uniform(0, 1, (2, n))
        opens = np.append(close[0], close[:-1])
        high, low = np.maximum(opens, close) * (1 + reach[0]), np.minimum(opens, close) * (1 - reach[1])
        for column in (close, high, low):
            column[n // 3 : n // 2] = close[n // 3]
        bars = random_bars(n).assign(open=close, high=high, low=low, close=close)
        prices = (high, low, close)
        directions = compute("adx", bars, period=period)
        for ours, theirs in (
            (directions["adx"], talib.ADX(*prices, period)),
            (directions["plus_di"], talib.PLUS_DI(*prices, period)),
            (directions["minus_di"], talib.MINUS_DI(*prices, period)),
            (compute("cci", bars, period=period)["value"], talib.CCI(*prices, period)),
        ):
            rows = ~np.isnan(ours)
            np.testing.assert_array_equal(ours[rows], theirs[rows])


def test_the_extended_parabolic_sar_agrees_with_the_plain_one_to_the_last_flip(bars: pd.DataFrame) -> None:
    plain = compute("parabolicsar", bars)["value"]
    nearly = compute("parabolicsar", bars, initial_af=0.02 + 1e-12)["value"]
    np.testing.assert_allclose(nearly[50:], plain[50:], rtol=1e-6)


def rolling(values: np.ndarray, period: int, statistic: str) -> np.ndarray:
    return getattr(pd.Series(values).rolling(period), statistic)().to_numpy()


def test_indicators_that_ta_lib_lacks_equal_their_definition(bars: pd.DataFrame) -> None:
    high, low, close, volume = (bars[name].to_numpy() for name in ("high", "low", "close", "volume"))
    returns = np.append(np.nan, np.diff(np.log(close)))
    place = (2 * close - high - low) / (high - low)
    mean = rolling(close, 20, "mean")
    pairs = {
        "donchianchannels.upper": rolling(high, 20, "max"),
        "donchianchannels.lower": rolling(low, 20, "min"),
        "realizedvolatility.value": rolling(returns, 20, "std") * 100,
        "volumeratio.value": volume / rolling(volume, 20, "mean"),
        "cmf.value": rolling(place * volume, 21, "sum") / rolling(volume, 21, "sum"),
        "distancefromma.value": (close / mean - 1) * 100,
        "bollingerbandwidth.value": 4 * close_deviation(close, 20) / mean,
        "ichimoku.kijun": (rolling(high, 26, "max") + rolling(low, 26, "min")) / 2,
    }
    for name, expected in pairs.items():
        indicator, output = name.split(".")
        ours = compute(indicator, bars)[output]
        np.testing.assert_allclose(ours[60:], expected[60:], rtol=1e-9, atol=1e-9)


def close_deviation(close: np.ndarray, period: int) -> np.ndarray:
    return np.asarray(pd.Series(close).rolling(period).std(ddof=0))


def test_the_session_average_price_restarts_each_session() -> None:
    hours = random_bars(48, start="2024-01-01", freq="1h")
    values = compute("vwap", hours)["value"]
    typical = (hours["high"] + hours["low"] + hours["close"]) / 3
    assert values[0] == pytest.approx(typical.iloc[0])
    assert values[24] == pytest.approx(typical.iloc[24])
    traded = hours["volume"].iloc[24:30]
    assert values[29] == pytest.approx((typical.iloc[24:30] * traded).sum() / traded.sum())


def test_supertrend_follows_the_price_and_turns_when_a_close_crosses_it() -> None:
    close = np.concatenate((np.linspace(100, 140, 60), np.linspace(140, 90, 60)))
    bars = pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0},
        index=pd.date_range("2020-01-01", periods=120, freq="D", tz="UTC", name="time"),
    )
    result = compute("supertrend", bars)
    assert result["direction"][59] == 1.0
    assert result["direction"][119] == -1.0
    up = result["direction"] == 1.0
    assert (result["trend"][up] < close[up]).all()
    assert (np.diff(result["trend"][10:60]) >= 0).all()


def test_an_unknown_name_or_parameter_is_reported_with_the_nearest_valid_one(bars: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="did you mean macd"):
        compute("macdd", bars)
    with pytest.raises(ValueError, match="did you mean period"):
        compute("rsi", bars, perod=3)
    with pytest.raises(ValueError, match="must be at least 2"):
        compute("rsi", bars, period=1)


@pytest.mark.parametrize("source", PRICE_SOURCES)
def test_every_price_source_can_be_used(source: str, bars: pd.DataFrame) -> None:
    values = compute("sma", bars, period=2, source=source)["value"]
    assert np.isfinite(values[1:]).all()
    assert source == "close" or not np.array_equal(values[1:], compute("sma", bars, period=2)["value"][1:])
