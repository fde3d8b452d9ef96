"""Spreads in points, as a price, or as bid and ask."""

import numpy as np
import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import
from tests.quant.market_data.series import Series, fx, walk
from tests.quant.market_data.sources import assert_bars
from workers.market_data.errors import MarketDataError


@pytest.mark.parametrize(
    ("decimals", "price", "point"), [(5, 1.0871, 1e-5), (3, 150.21, 1e-3), (2, 2034.5, 1e-2)]
)
def test_a_spread_of_copy_rates_is_in_points(
    import_file: Import, decimals: int, price: float, point: float
) -> None:
    start = fx("2024-03-04", 1, price=price)
    prices = np.round(start.prices, decimals)
    prices[0] = np.round(prices[0, 0], decimals - 1) + 3 * 10.0**-decimals
    series = Series(start.opens, np.round(prices, decimals), start.volume, start.step, decimals)
    text = series.csv(
        "time,open,high,low,close,tick_volume,spread,real_volume",
        lambda t, p, v: ",".join([t, *(str(float(x)) for x in p), v, "12", "0"]),
    )
    imported = import_file(text, "1h")
    assert_bars(imported, series)
    assert imported.bars["spread"].to_numpy() == pytest.approx(12 * point, rel=1e-12)
    assert import_file(text, "1h", point_size=point * 10).bars["spread"].iloc[0] == pytest.approx(120 * point)


def test_a_spread_in_points_of_an_unknown_source_is_refused(import_file: Import) -> None:
    series = fx("2024-03-04", 1)
    text = series.csv("time,open,high,low,close,volume,spread", lambda t, p, v: ",".join([t, *p, v, "15"]))
    with pytest.raises(MarketDataError, match=r"in points, not in price: set point_size .* probably 1e-05"):
        import_file(text, "1h")
    assert import_file(text, "1h", point_size=1e-5).bars["spread"].iloc[0] == pytest.approx(15e-5)


def with_spread(price: float, decimals: int, spread: str, titles: str = "spread") -> str:
    times = pd.date_range("2024-03-04", periods=60, freq="1h", tz="UTC").as_unit("ns")
    series = walk(times, "1h", 1, price, decimals)
    header = f"time,open,high,low,close,volume,{titles}"
    return series.csv(header, lambda t, p, v: ",".join([t, *p, v, spread]))


@pytest.mark.parametrize(
    ("price", "decimals", "spread"),
    [(150.123, 3, "7"), (2010.15, 2, "21"), (15012.5, 1, "100"), (61234.55, 2, "1500"), (23.154, 3, "1")],
    ids=["USDJPY", "XAUUSD", "DAX", "BTCUSD", "XAGUSD"],
)
def test_whole_spreads_beside_prices_with_decimals_are_never_stored_as_a_price(
    import_file: Import, price: float, decimals: int, spread: str
) -> None:
    """Below 5 % of the price, so not implausible: a spread of 7 points of USDJPY was stored as 7 yen."""
    text, point = with_spread(price, decimals, spread), 10.0**-decimals
    with pytest.raises(MarketDataError, match=f"point_size.*probably {point:g}, or to 1") as refusal:
        import_file(text, "1h", timezone="UTC")
    assert len(str(refusal.value)) < 300
    for size in (point, 1.0):
        bars = import_file(text, "1h", timezone="UTC", point_size=size).bars
        assert bars["spread"].to_numpy() == pytest.approx(float(spread) * size, rel=1e-12)


@pytest.mark.parametrize(
    ("price", "decimals", "spread", "is_noted"), [(61234.55, 2, "5", True), (5210.0, 0, "5", False), (150.123, 3, "0.007", False)]
)  # fmt: skip
def test_a_spread_in_price_is_stored_as_it_is(
    import_file: Import, price: float, decimals: int, spread: str, is_noted: bool
) -> None:
    imported = import_file(with_spread(price, decimals, spread), "1h", timezone="UTC")
    assert imported.bars["spread"].to_numpy() == pytest.approx(float(spread))
    assert any("set point_size" in note for note in imported.quality["notes"]) == is_noted


@pytest.mark.parametrize("options", [{}, {"point_size": 0.01}], ids=["plain", "point-size"])
def test_bid_and_ask_are_prices_also_if_their_difference_is_whole(
    import_file: Import, options: dict[str, float]
) -> None:
    text = with_spread(101.25, 2, "100.25,101.25", titles="bid,ask")
    assert (import_file(text, "1h", timezone="UTC", **options).bars["spread"] == 1.0).all()


def test_bid_and_ask_give_the_spread(import_file: Import) -> None:
    series = fx("2024-03-04", 1)
    text = series.csv(
        "time,open,high,low,close,volume,bid,ask",
        lambda t, p, v: ",".join([t, *p, v, p[3], f"{float(p[3]) + 2e-4:.5f}"]),
    )
    assert import_file(text, "1h").bars["spread"].to_numpy() == pytest.approx(2e-4, abs=1e-9)
