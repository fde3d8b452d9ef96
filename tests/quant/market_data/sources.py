"""The export of MetaTrader, and the comparison of an import with the bars of its file."""

import numpy as np

from tests.quant.market_data.conftest import Result
from tests.quant.market_data.series import Series

SEEDS = (1, 2, 3)
METATRADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"


def assert_bars(imported: Result, series: Series, volume: bool = True) -> None:
    bars = imported.bars
    assert list(bars.index) == list(series.opens)
    assert np.array_equal(bars[["open", "high", "low", "close"]].to_numpy(), series.prices)
    if volume:
        assert np.array_equal(bars["volume"].to_numpy(), series.volume)


def metatrader(series: Series, zone: str, spread: int = 7) -> str:
    return series.csv(
        METATRADER,
        lambda t, p, v: "\t".join([*t.split(), *p, v, "0", str(spread)]),
        "%Y.%m.%d %H:%M:%S",
        zone,
        end="\r\n",
    )
