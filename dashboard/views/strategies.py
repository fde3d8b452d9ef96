"""Pages of strategies: saved ones with their versions, those of past operations, and the examples."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from access.problems import Invalid
from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages.examples import list_examples
from dashboard.pages.saved_strategies import describe_strategy, find_version, list_saved, list_unsaved
from dashboard.pages.strategies import runs_of, text_of_runs
from dashboard.pages.strategy_texts import find_text
from dashboard.pages.submit_preview import symbols_with_bars
from dashboard.views.decorators import PageRequest, page
from dashboard.views.undo import take_deleted_strategies
from operations.kind import Step
from operations.presentation.subject import strategy_name
from operations.registered_kinds import all_kinds
from strategies.api.strategies import StrategyFilter
from strategies.models import SavedStrategy
from strategies.names import is_digest


@page
def strategies(request: PageRequest) -> HttpResponse:
    """List saved strategies that match the filter, and the texts of past operations that are not saved."""
    query = {name: request.GET.get(name, "").replace("\0", "") for name in ("search", "tag", "archived")}
    is_filtered = any(query.values())
    context = {
        "saved": list_saved(_matching(query)),
        "unsaved": [] if is_filtered else list_unsaved(),
        "query": query,
        "is_filtered": is_filtered,
        "deleted": take_deleted_strategies(request),
    }
    return render(request, "strategies/list.html", context)


def _matching(query: Mapping[str, str]) -> QuerySet[SavedStrategy]:
    """Return the strategies that match; none if the filter is not valid."""
    filtered = StrategyFilter(query, queryset=SavedStrategy.objects.with_current())
    try:
        rows: QuerySet[SavedStrategy] = filtered.qs
    except Invalid:
        return SavedStrategy.objects.none()
    return rows if filtered.is_valid() else SavedStrategy.objects.none()


@page
def examples(request: PageRequest) -> HttpResponse:
    return render(request, "strategies/examples.html", {"examples": list_examples()})


@page
def strategy(request: PageRequest, name: str) -> HttpResponse:
    """Show a saved strategy, or the text with this digest."""
    if is_digest(name):
        return _text_page(request, name)
    return strategy_page(request, name, ApiResponse(200), {})


def _text_page(request: PageRequest, digest: str) -> HttpResponse:
    """Show a text that only operations have; that of a saved strategy is on its page."""
    if (version := find_version(digest)) is not None:
        address = reverse("dashboard:strategy", args=[version.strategy.name])
        return redirect(f"{address}?version={version.number}")
    text = text_of_runs(digest)
    if text is None:
        raise Http404("No saved strategy and no operation has this text.")
    context = {
        "name": strategy_name(text) or "unnamed",
        "text": text,
        "digest": digest,
        "runs": runs_of(digest),
        "steps": steps_of(digest, text),
    }
    return render(request, "strategies/text.html", context)


def strategy_page(
    request: PageRequest, name: str, response: ApiResponse, entered: Mapping[str, str]
) -> HttpResponse:
    """Show the page of a saved strategy; after a refused save with the text entered and the problems."""
    saved = get_object_or_404(SavedStrategy, name=name)
    number = request.GET.get("version", "")
    context = describe_strategy(saved, int(number[:10]) if number.isascii() and number.isdigit() else None)
    if context is None:
        raise Http404("The strategy has no such version.")
    shown = context["shown"]
    is_newest = shown.number == context["newest"].number
    steps = steps_of(name if is_newest else shown.digest, shown.text)
    context = {
        **context,
        "text": entered.get("strategy_yaml", shown.text),
        "change": entered.get("change", ""),
        "based_on": entered.get("based_on", context["newest"].number),
        "is_newest": is_newest,
        "is_filled": bool(entered) or not is_newest,
        "problems": response.problems,
        "symbols": symbols_with_bars(),
        "steps": steps,
    }
    return render(request, "strategies/detail.html", context, status=page_status(response))


def page_status(response: ApiResponse) -> int:
    return 200 if response.is_success else 422


@page
def strategy_diff(request: PageRequest, name: str) -> HttpResponse:
    """Compare two versions."""
    query = "&".join(f"{side}={request.GET.get(side, '')[:10]}" for side in ("from", "to"))
    response = call_api(request, "GET", f"/strategies/{name}/diff?{query}")
    if not response.is_success:
        raise Http404(response.detail)
    saved = get_object_or_404(SavedStrategy, name=name)
    context: dict[str, Any] = {
        "strategy": saved,
        "older": response.data["from"],
        "newer": response.data["to"],
        "lines": response.data["lines"],
        "numbers": list(saved.versions.values_list("number", flat=True)),
    }
    return render(request, "strategies/diff.html", context)


@page
def strategy_text(request: PageRequest) -> HttpResponse:
    """Return an example (`?of=example:NAME`), a saved strategy (`?of=NAME`) or any stored text (`?of=DIGEST`)."""
    text = find_text(request.GET.get("of", ""))
    if text is None:
        raise Http404("Unknown strategy.")
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def steps_of(reference: str, text: str) -> list[Step]:
    """Return the forms that a strategy can fill; `reference` is its name or digest."""
    return [step for kind in all_kinds() if (step := kind.step_from_strategy(reference, text))]
