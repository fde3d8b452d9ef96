"""Every indicator that a strategy may use: parameters, bounds, outputs, range and warm-up."""

from collections.abc import Mapping

from workers.strategy.catalog import PRICE_SOURCES, IndicatorEntry, IndicatorParameter, Output

_SOURCE = IndicatorParameter("source", "choice", "close", choices=PRICE_SOURCES)
_PRICES = ("high", "low", "close")
_WITH_VOLUME = ("high", "low", "close", "volume")


def _period(
    default: int, name: str = "period", minimum: int = 2, aliases: tuple[str, ...] = ()
) -> IndicatorParameter:
    return IndicatorParameter(name, "int", default, minimum, 5000, aliases=aliases)


def _factor(default: float, name: str = "multiplier", aliases: tuple[str, ...] = ()) -> IndicatorParameter:
    return IndicatorParameter(name, "float", default, 0.01, 100.0, aliases=aliases)


def _of_source(
    name: str, title: str, warm_up: str, default: int, *aliases: str, minimum: int = 2
) -> IndicatorEntry:
    """An average or a difference of one price line, in the units of that line."""
    parameters = (_period(default, minimum=minimum), _SOURCE)
    return IndicatorEntry(name, title, (Output("value"),), warm_up, parameters, ("source",), aliases)


def _bands(*names: str) -> tuple[Output, ...]:
    return tuple(Output(name) for name in names)


_AVERAGES = (
    _of_source("sma", "Simple moving average", "period - 1", 20, "simplemovingaverage"),
    _of_source("ema", "Exponential moving average", "period - 1", 20, "exponentialmovingaverage"),
    _of_source("wma", "Weighted moving average", "period - 1", 20, "weightedmovingaverage"),
    _of_source("dema", "Double exponential moving average", "2 * (period - 1)", 20),
    _of_source("tema", "Triple exponential moving average", "3 * (period - 1)", 20),
    _of_source("kama", "Kaufman adaptive moving average", "period", 30),
    IndicatorEntry(
        "distancefromma",
        "Distance from a moving average, percent of the average",
        (Output("value"),),
        "period - 1",
        (_period(20), IndicatorParameter("ma_type", "choice", "sma", choices=("sma", "ema")), _SOURCE),
        ("source",),
        ("distance_from_ma",),
    ),
    IndicatorEntry(
        "vwap",
        "Volume weighted average price since the start of the session (period 0) or over the last period bars",
        (Output("value"),),
        "max(period - 1, 0)",
        (
            IndicatorParameter("period", "int", 0, 0, 5000),
            IndicatorParameter("use_typical_price", "bool", True),
        ),
        _WITH_VOLUME,
    ),
)

_MOMENTUM = (
    IndicatorEntry(
        "rsi",
        "Relative strength index (Wilder)",
        (Output("value", 0, 100),),
        "period",
        (_period(14), _SOURCE),
        ("source",),
    ),
    IndicatorEntry(
        "macd",
        "Moving average convergence divergence, in the source's units",
        _bands("line", "signal", "histogram"),
        "slow_period + signal_period - 2",
        (
            _period(12, "fast_period", aliases=("fast",)),
            _period(26, "slow_period", aliases=("slow",)),
            _period(9, "signal_period", minimum=1, aliases=("signal",)),
            _SOURCE,
        ),
        ("source",),
        needs_order=("fast_period", "slow_period"),
    ),
    _of_source(
        "momentum", "Momentum: difference from the value period bars ago", "period", 10, "mom", minimum=1
    ),
    _of_source("roc", "Rate of change, percent", "period", 10, minimum=1),
    IndicatorEntry(
        "cci", "Commodity channel index", (Output("value"),), "period - 1", (_period(20),), _PRICES
    ),
    IndicatorEntry(
        "stochastic",
        "Stochastic oscillator",
        (Output("k", 0, 100), Output("d", 0, 100)),
        "k_period + smooth_k + d_period - 3",
        (_period(14, "k_period"), _period(3, "d_period", 1), _period(3, "smooth_k", 1)),
        _PRICES,
        ("stoch",),
    ),
    IndicatorEntry(
        "williamsr",
        "Williams %R",
        (Output("value", -100, 0),),
        "period - 1",
        (_period(14),),
        _PRICES,
        ("willr", "williams_r"),
    ),
    IndicatorEntry(
        "rvi",
        "Relative vigor index",
        (Output("rvi", -1, 1), Output("signal", -1, 1)),
        "period + signal_period + 1",
        (_period(10), _period(4, "signal_period", 1)),
        ("open", *_PRICES),
        ("relativevigorindex",),
    ),
    IndicatorEntry(
        "fishertransform",
        "Fisher transform of the median price's place in its range, smoothed exponentially",
        _bands("fisher", "signal"),
        "period + smoothing - 1",
        (_period(10), _period(3, "smoothing", 1)),
        ("high", "low"),
        ("fisher", "fisher_transform"),
    ),
)

_TREND = (
    IndicatorEntry(
        "adx",
        "Average directional index (Wilder) and its directional indicators",
        (Output("adx", 0, 100), Output("plus_di", 0, 100), Output("minus_di", 0, 100)),
        "2 * period - 1",
        (_period(14),),
        _PRICES,
    ),
    IndicatorEntry(
        "aroon",
        "Aroon",
        (Output("up", 0, 100), Output("down", 0, 100), Output("oscillator", -100, 100)),
        "period",
        (_period(14),),
        ("high", "low"),
    ),
    IndicatorEntry(
        "parabolicsar",
        "Parabolic stop and reverse (Wilder)",
        (Output("value"),),
        "1",
        (
            IndicatorParameter("initial_af", "float", 0.02, 0.0001, 1.0),
            IndicatorParameter("step_af", "float", 0.02, 0.0001, 1.0),
            IndicatorParameter("max_af", "float", 0.2, 0.0001, 1.0),
        ),
        ("high", "low"),
        ("psar", "sar", "parabolic_sar"),
    ),
    IndicatorEntry(
        "supertrend",
        "Supertrend: trailing band of median price and average true range",
        (Output("trend"), Output("direction", -1, 1)),
        "period",
        (_period(10), _factor(3.0)),
        _PRICES,
    ),
    IndicatorEntry(
        "ichimoku",
        "Ichimoku lines as known at the bar, without a forward shift of the spans and without the lagging line",
        _bands("tenkan", "kijun", "span_a", "span_b"),
        "max(tenkan_period, kijun_period, senkou_b_period) - 1",
        (_period(9, "tenkan_period"), _period(26, "kijun_period"), _period(52, "senkou_b_period")),
        ("high", "low"),
    ),
)

_VOLATILITY = (
    IndicatorEntry(
        "atr",
        "Average true range (Wilder), in price",
        (Output("value", 0),),
        "period",
        (_period(14),),
        _PRICES,
    ),
    IndicatorEntry(
        "natr",
        "Average true range, percent of the close",
        (Output("value", 0),),
        "period",
        (_period(14),),
        _PRICES,
    ),
    IndicatorEntry(
        "bbands",
        "Bollinger bands",
        _bands("upper", "middle", "lower"),
        "period - 1",
        (_period(20), _factor(2.0, aliases=("std_dev",)), _SOURCE),
        ("source",),
        ("bollingerbands",),
    ),
    IndicatorEntry(
        "bollingerbandwidth",
        "Width of the Bollinger bands, fraction of the middle band",
        (Output("value", 0),),
        "period - 1",
        (_period(20), _factor(2.0), _SOURCE),
        ("source",),
        ("bbwidth", "bollinger_band_width"),
    ),
    IndicatorEntry(
        "keltnerchannels",
        "Keltner channels: exponential average of the close and average true range",
        _bands("upper", "middle", "lower"),
        "max(period - 1, atr_period)",
        (_period(20), _period(10, "atr_period"), _factor(2.0)),
        _PRICES,
        ("keltner", "keltner_channels"),
    ),
    IndicatorEntry(
        "donchianchannels",
        "Donchian channels",
        _bands("upper", "middle", "lower"),
        "period - 1",
        (_period(20),),
        ("high", "low"),
        ("donchian", "donchian_channels"),
    ),
    IndicatorEntry(
        "squeezeintensity",
        "Share of the Keltner channel width not covered by the Bollinger bands inside it",
        (Output("value", 0, 1),),
        "max(bb_period - 1, kc_period)",
        (
            _period(20, "bb_period"),
            _factor(2.0, "bb_multiplier"),
            _period(20, "kc_period"),
            _factor(2.0, "kc_multiplier"),
        ),
        _PRICES,
        ("squeeze_intensity",),
    ),
    IndicatorEntry(
        "realizedvolatility",
        "Standard deviation of log returns, per bar, percent",
        (Output("value", 0),),
        "period",
        (_period(20), _SOURCE),
        ("source",),
        ("realized_volatility",),
    ),
)

_VOLUME = (
    IndicatorEntry("obv", "On balance volume", (Output("value"),), "0", (), ("close", "volume")),
    IndicatorEntry(
        "adline",
        "Accumulation/distribution line",
        (Output("value"),),
        "0",
        (),
        _WITH_VOLUME,
        ("ad", "ad_line"),
    ),
    IndicatorEntry(
        "cmf", "Chaikin money flow", (Output("value", -1, 1),), "period - 1", (_period(21),), _WITH_VOLUME
    ),
    IndicatorEntry(
        "mfi", "Money flow index", (Output("value", 0, 100),), "period", (_period(14),), _WITH_VOLUME
    ),
    IndicatorEntry(
        "volumeratio",
        "Volume divided by its simple moving average",
        (Output("value", 0),),
        "period - 1",
        (_period(20),),
        ("volume",),
        ("volume_ratio",),
    ),
)

EXPRESSION = "expression"
"""The type of indicators that are defined by a formula in the file."""

_FORMULA = (
    IndicatorEntry(
        EXPRESSION,
        "A formula over the bars and other indicators of the file",
        (Output("value"),),
        "bars that the formula looks back at",
        (
            IndicatorParameter("expression", "expression", "close / shift(close, 1) - 1"),
            IndicatorParameter("symbol", "symbol", ""),
        ),
        ("close",),
    ),
)

INDICATORS: Mapping[str, IndicatorEntry] = {
    entry.name: entry
    for group in (_AVERAGES, _MOMENTUM, _TREND, _VOLATILITY, _VOLUME, _FORMULA)
    for entry in group
}
_BY_ANY_NAME = {alias: entry for entry in INDICATORS.values() for alias in (entry.name, *entry.aliases)}


def find_indicator(name: str) -> IndicatorEntry | None:
    """Return the entry with this name or alias, ignoring case."""
    return _BY_ANY_NAME.get(name.lower())
