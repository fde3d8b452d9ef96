from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from dashboard.pages.market_data import coverage, quality
from dashboard.views.request import PageRequest, page
from operations.models import MarketData, Operation
from operations.states import FINAL


@page
def market_data(request: PageRequest) -> HttpResponse:
    """Coverage of what was imported, and imports that are still on their way."""
    under_way = (
        Operation.objects.filter(operation_type="data_import")
        .exclude(status__in=FINAL)
        .only("status", "parameters", "progress", "waiting_reason", "operation_type")
    )
    return render(
        request,
        "market_data/list.html",
        {"span": coverage(MarketData.objects.select_related("file")), "under_way": under_way},
    )


@page
def market_data_of(request: PageRequest, symbol: str, timeframe: str) -> HttpResponse:
    data = get_object_or_404(
        MarketData.objects.select_related("file", "imported_by"), symbol=symbol, timeframe=timeframe
    )
    return render(request, "market_data/detail.html", {"data": data, "findings": quality(data)})
