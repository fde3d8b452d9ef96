from django.http import HttpResponse
from django.shortcuts import render

from dashboard.pages import comparison
from dashboard.views.decorators import PageRequest, page


@page
def compare(request: PageRequest) -> HttpResponse:
    """Compare the operations of `?operation=ID&operation=ID...`; fewer than two show how to select more."""
    operations = comparison.load(request.GET.getlist("operation"))
    if len(operations) < 2:
        return render(request, "operations/compare_none.html")
    return render(request, "operations/compare.html", {"comparison": comparison.compare(operations)})
