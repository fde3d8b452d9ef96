from django.http import HttpResponse
from django.shortcuts import render

from dashboard.pages.comparison import compare as compared
from dashboard.pages.comparison import load
from dashboard.views.request import PageRequest, page


@page
def compare(request: PageRequest) -> HttpResponse:
    """`?operation=ID&operation=ID...`: those that exist, side by side; fewer than two are asked for again."""
    found = load(request.GET.getlist("operation"))
    if len(found) < 2:
        return render(request, "operations/compare_none.html", {"found": found})
    return render(request, "operations/compare.html", {"comparison": compared(found)})
