"""The parts of a report that come from the files of bars and trades; each may be missing without the others."""

import math
from typing import Any

from operations.models import Operation
from operations.presentation.trades import stored
from operations.presentation.trades.chart import chart_context
from operations.presentation.trades.query import Query
from operations.presentation.trades.table import trade_page


def trade_parts(operation: Operation) -> dict[str, Any]:
    """Return the context of the chart and of the table, or the sentence why one is missing."""
    files = stored.files_of(operation)
    context = {**chart_context(operation, files), "trades": None, "returns": None}
    try:
        trades = stored.read(files)
        context["trades"] = trade_page(trades, Query())
        context["returns"] = [value for value in trades.column("return") if math.isfinite(value)]
    except stored.TradesUnavailableError as error:
        context["trades_missing"] = str(error)
    return context
