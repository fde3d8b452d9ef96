from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render

from dashboard.pages import comparison
from dashboard.views.addresses import local_address
from dashboard.views.decorators import PageRequest, page


@page
def compare(request: PageRequest) -> HttpResponse:
    """Compare the operations of `?operation=ID&operation=ID...`; fewer than two show how to select more.

    `from` is the page on which they were selected; the way back keeps the selection.
    """
    selected = list(dict.fromkeys(request.GET.getlist("operation")))
    operations = comparison.load(selected)
    if len(operations) < 2:
        return render(request, "operations/compare_none.html")
    back = local_address(request.GET.get("from", ""), "/dashboard/runs")
    join = "&" if "?" in back else "?"
    context = {
        "comparison": comparison.compare(operations, request.GET.get("reference", "")),
        "cut": max(0, len(selected) - comparison.MAX_OPERATIONS),
        "missing": min(len(selected), comparison.MAX_OPERATIONS) - len(operations),
        "keep": f"&{urlencode({'from': back})}",
        "back": f"{back}{join}{urlencode({'selected': selected}, doseq=True)}",
    }
    return render(request, "operations/compare.html", context)
