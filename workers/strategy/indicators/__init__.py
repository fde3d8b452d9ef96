"""Technical indicators, computed as whole columns."""

from workers.strategy.indicators.columns import BarColumns
from workers.strategy.indicators.compute import compute

__all__ = ["BarColumns", "compute"]
