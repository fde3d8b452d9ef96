from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from dashboard.pages import bar_chart
from dashboard.pages.market_data import coverage, quality
from dashboard.views.decorators import PageRequest, page
from operations.models import MarketData, Operation
from operations.presentation.stored_charts import ChartUnavailableError
from operations.registered_kinds import all_kinds
from operations.states import FINAL
from operations.waiting import explain_waits


@page
def market_data(request: PageRequest) -> HttpResponse:
    """List the imported series with their coverage, and imports in progress."""
    import_kinds = [kind for kind in all_kinds() if kind.imports_market_data]
    in_progress = list(
        Operation.objects.filter(operation_type__in=[kind.operation_type for kind in import_kinds])
        .exclude(status__in=FINAL)
        .defer("result", "error_traceback")
    )
    explain_waits(in_progress)
    return render(
        request,
        "market_data/list.html",
        {
            "span": coverage(MarketData.objects.select_related("file")),
            "in_progress": in_progress,
            "import_kinds": import_kinds,
        },
    )


@page
def market_data_of(request: PageRequest, symbol: str, timeframe: str) -> HttpResponse:
    """Chart, coverage and quality of one series; `?with=` names a symbol to draw over it, `?at=` a time to show."""
    data = get_object_or_404(
        MarketData.objects.select_related("file", "imported_by"), symbol=symbol, timeframe=timeframe
    )
    steps = [step for kind in all_kinds() if (step := kind.step_from_market_data(data))]
    context = {"data": data, "findings": quality(data), "steps": steps, **_chart_context(request, data)}
    return render(request, "market_data/detail.html", context)


def _chart_context(request: PageRequest, data: MarketData) -> dict[str, Any]:
    candidates = bar_chart.others(data)
    compared = request.GET.get("with", "")
    try:
        chart = bar_chart.bar_chart(data)
        overlay = bar_chart.overlay(data, compared, candidates) if chart and compared else None
    except ChartUnavailableError as error:
        return {"chart_missing": str(error), "others": candidates}
    script = {**chart.script, "overlay": overlay} if chart else None
    return {
        "chart": chart,
        "chart_script": script,
        "others": candidates,
        "comparable": [row.symbol for row in candidates if row.timeframe == data.timeframe],
        "compared": compared,
    }
