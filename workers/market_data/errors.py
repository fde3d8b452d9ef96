"""Market data that cannot be used."""

from worker_agent.protocol import InvalidInput


class MarketDataError(InvalidInput):
    """The market data cannot be used. The message names what and where."""
