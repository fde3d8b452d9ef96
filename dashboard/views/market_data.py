from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from dashboard.pages.market_data import coverage, quality
from dashboard.views.request import PageRequest, page
from operations.kind import all_kinds
from operations.models import MarketData, Operation
from operations.states import FINAL


@page
def market_data(request: PageRequest) -> HttpResponse:
    """Coverage of what was imported, and imports that are still on their way."""
    import_kinds = [kind for kind in all_kinds() if kind.imports_market_data]
    under_way = (
        Operation.objects.filter(operation_type__in=[kind.operation_type for kind in import_kinds])
        .exclude(status__in=FINAL)
        .only("status", "parameters", "progress", "waiting_reason", "operation_type")
    )
    return render(
        request,
        "market_data/list.html",
        {
            "span": coverage(MarketData.objects.select_related("file")),
            "under_way": under_way,
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
