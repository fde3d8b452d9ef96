from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from dashboard.pages.market_data import coverage, quality
from dashboard.views.decorators import PageRequest, page
from operations.kind import all_kinds
from operations.models import MarketData, Operation
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
    data = get_object_or_404(
        MarketData.objects.select_related("file", "imported_by"), symbol=symbol, timeframe=timeframe
    )
    steps = [step for kind in all_kinds() if (step := kind.step_from_market_data(data))]
    return render(
        request, "market_data/detail.html", {"data": data, "findings": quality(data), "steps": steps}
    )
