from django.http import Http404, HttpResponse
from django.shortcuts import render

from operations.pages.headline import strategy_name
from operations.pages.strategies import runs_of, used
from operations.views.request import PageRequest, page


@page
def strategies(request: PageRequest) -> HttpResponse:
    return render(request, "strategies/list.html", {"strategies": used()})


@page
def strategy(request: PageRequest, digest: str) -> HttpResponse:
    runs = runs_of(digest)
    if not runs:
        raise Http404("No operation has used this strategy.")
    text = runs[0].parameters["strategy_yaml"]
    return render(
        request,
        "strategies/detail.html",
        {"name": strategy_name(text) or "unnamed", "text": text, "digest": digest, "runs": runs},
    )
