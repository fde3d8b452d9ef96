"""The error for invalid market data."""

from worker_agent.protocol import InvalidInput


class MarketDataError(InvalidInput):
    """The market data are invalid. The message names the problem and its place."""
