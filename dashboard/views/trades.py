"""The trades of a backtest: on its bars, and as a table that the server sorts and filters."""

import math
from typing import Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render

from dashboard.views.decorators import PageRequest, page
from operations.models import Operation
from operations.presentation.subject import strategies_of_models, subject
from operations.presentation.trades import chart, stored, table
from operations.presentation.trades.query import Query


@page
def trades(request: PageRequest, operation_id: str) -> HttpResponse:
    """Chart and table of all trades; `?trade=` shows one, htmx gets only the table."""
    operation = get_object_or_404(Operation, pk=operation_id)
    files = stored.files_of(operation)
    try:
        listed = table.trade_page(stored.read(files), Query.of(request.GET))
    except stored.TradesUnavailableError as error:
        raise Http404(str(error)) from None
    context: dict[str, Any] = {"operation": operation, "trades": listed}
    if request.htmx:
        return render(request, "trades/table.html", context)
    about = subject(operation, strategies_of_models([operation]))
    context |= {"about": about, **chart.chart_context(operation, files)}
    return render(request, "trades/page.html", context)


@page
def trades_drawn(request: PageRequest, operation_id: str) -> HttpResponse:
    """JSON for the chart: the trades from `?from=` to `?until=` (seconds), or the one of `?number=`."""
    operation = get_object_or_404(Operation, pk=operation_id)
    try:
        all_trades = stored.read(stored.files_of(operation))
        if (number := request.GET.get("number")) is not None:
            trade = table.one(all_trades, int(_finite(number)))
            if trade is None:
                raise Http404("Unknown trade.")
            return JsonResponse(trade)
        start, end = (_finite(request.GET.get(name)) for name in ("from", "until"))
        return JsonResponse(table.trades_between(all_trades, start, end))
    except stored.TradesUnavailableError as error:
        raise Http404(str(error)) from None


def _finite(text: str | None) -> float:
    """Raises Http404."""
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Http404("`from`, `until` and `number` must be numbers.")
    return value
