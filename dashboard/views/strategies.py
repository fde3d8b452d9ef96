from django.http import Http404, HttpResponse
from django.shortcuts import render

from dashboard.pages.strategies import list_strategies, runs_of, text_of
from dashboard.views.decorators import PageRequest, page
from operations.kind import Step, all_kinds
from operations.presentation.subject import strategy_name


@page
def strategies(request: PageRequest) -> HttpResponse:
    return render(
        request, "strategies/list.html", {"strategies": list_strategies(), "steps": _steps(None, "")}
    )


@page
def strategy(request: PageRequest, digest: str) -> HttpResponse:
    text = text_of(digest)
    if text is None:
        raise Http404("No operation has used this strategy.")
    return render(
        request,
        "strategies/detail.html",
        {
            "name": strategy_name(text) or "unnamed",
            "text": text,
            "digest": digest,
            "runs": runs_of(digest),
            "steps": _steps(digest, text),
        },
    )


def _steps(digest: str | None, text: str) -> list[Step]:
    return [step for kind in all_kinds() if (step := kind.step_from_strategy(digest, text))]
