"""A strategy's text while it is edited: its form, its check and its preview."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages.strategy_check import check_of
from dashboard.pages.strategy_form import check_of_form, describe_form
from dashboard.pages.strategy_preview import preview_of, preview_of_operation
from dashboard.pages.submit_preview import symbols_with_bars
from dashboard.views.decorators import PageRequest
from dashboard.views.strategies import strategy_page
from dashboard.views.strategy_changes import (
    NEW_FIELDS,
    NOT_SAVED,
    VERSION_FIELDS,
    new_page,
    redirect_to_saved,
    redirect_to_version,
    save_new,
    save_next,
    start_from,
)
from strategies.form.writing import apply_form
from strategies.models import SavedStrategy
from workers.strategy.errors import StrategyError
from workers.strategy.text_edits import EditError


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def strategy_form(request: PageRequest) -> HttpResponse:
    """Show a strategy as a form, filled from `?of=`.

    A POST writes the fields into the text. `step` is `save`, `text` for the editor, or empty to show the form again.
    """
    if request.method != "POST":
        return _form_page(request, _start(request.GET.get("of", "")))
    entered = {name: request.POST.get(name, "") for name in ("saved", *NEW_FIELDS, *VERSION_FIELDS)}
    if entered["saved"]:
        get_object_or_404(SavedStrategy, name=entered["saved"].replace("\0", ""))
    problem = ""
    try:
        entered["strategy_yaml"] = _edited_text(request)
    except StrategyError:
        return _text_page(request, entered, _validate(request, entered))
    except EditError as error:
        problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
    step = request.POST.get("step", "")
    if step == "text":
        return _text_page(request, entered)
    if step == "save" and not problem:
        return _save(request, entered)
    return _form_page(request, entered, problem)


def _start(reference: str) -> dict[str, str]:
    saved = SavedStrategy.objects.with_current().filter(name=reference.replace("\0", "")).first()
    if saved is None:
        return start_from(reference)
    return start_from(reference) | {
        "saved": saved.name,
        "based_on": str(saved.versions.order_by("-number").values_list("number", flat=True)[0]),
    }


def _edited_text(request: PageRequest) -> str:
    """Return the text of the request with the fields of its form; without a form, the text as it is."""
    text = request.POST.get("strategy_yaml", "").replace("\r\n", "\n")
    return apply_form(text, request.POST) if "form" in request.POST else text


def _form_page(
    request: PageRequest, entered: Mapping[str, str], problem: str = "", response: ApiResponse = NOT_SAVED
) -> HttpResponse:
    try:
        form = describe_form(request, entered["strategy_yaml"])
    except StrategyError:
        return _text_page(request, entered, _validate(request, entered))
    except EditError as error:
        reason = {"pointer": "/strategy_yaml", "detail": f"There is no form: {error}."}
        return _text_page(
            request, entered, ApiResponse(HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": [reason]})
        )
    context = {
        **entered,
        **form,
        "text": entered["strategy_yaml"],
        "is_filled": request.method == "POST" or "of" in request.GET,
        "problem": problem or ("" if response.is_success else _reason(response)),
        "symbols": symbols_with_bars(),
    }
    status = 200 if response.is_success and not problem else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "strategies/form.html", context, status=status)


def _reason(response: ApiResponse) -> str:
    """Return why a save was refused; errors of the text are shown at their fields."""
    others = [problem.text for problem in response.problems if problem.name != "strategy_yaml"]
    return " ".join(others) or "Not saved. Please fix the errors below."


def _validate(request: PageRequest, entered: Mapping[str, str]) -> ApiResponse:
    return call_api(request, "POST", "/strategies/validate", {"strategy_yaml": entered["strategy_yaml"]})


def _text_page(
    request: PageRequest, entered: Mapping[str, str], response: ApiResponse = NOT_SAVED
) -> HttpResponse:
    """Show the editor with the text, and the problems that keep it from being a form."""
    if saved := entered.get("saved"):
        return strategy_page(request, saved, response, entered)
    return new_page(request, entered, response, is_filled=True)


def _save(request: PageRequest, entered: dict[str, str]) -> HttpResponse:
    saved = entered["saved"]
    if saved:
        response = save_next(request, saved, entered)
        if response.is_success:
            return redirect_to_version(request, saved, response)
        if response.status == HTTPStatus.CONFLICT:
            entered["based_on"] = ""
    else:
        response = save_new(request, {name: entered[name] for name in NEW_FIELDS})
        if response.is_success:
            return redirect_to_saved(request, response.data["name"], "Saved.")
    return _form_page(request, entered, response=response)


@require_POST
@login_required
def check(request: PageRequest) -> HttpResponse:
    """Render the check of the text, or of the form, that is being edited."""
    return render(request, "strategies/check.html", {"check": _check(request)})


def _check(request: PageRequest) -> dict[str, Any] | None:
    if "form" not in request.POST:
        return check_of(request, request.POST.get("strategy_yaml", ""))
    try:
        return check_of_form(request, _edited_text(request))
    except (StrategyError, EditError) as error:
        return {"errors": [{"place": "the form", "message": str(error), "anchor": "group_"}]}


@require_POST
@login_required
def preview_strategy(request: PageRequest) -> HttpResponse:
    """Render what a worker computes for the text that is being edited; without script, as a page of its own."""
    template = "strategies/preview.html" if request.htmx else "strategies/preview_page.html"
    if operation_id := request.POST.get("preview_operation"):
        return render(request, template, {"preview": preview_of_operation(request, operation_id)})
    try:
        text = _edited_text(request)
    except (StrategyError, EditError):
        text = request.POST.get("strategy_yaml", "")
    symbols = request.POST.get("symbol") or request.POST.get("symbols", "")
    symbol = next(iter(symbols.replace(",", " ").split()), "")
    replaces = request.POST.get("preview_awaited", "")
    return render(request, template, {"preview": preview_of(request, text, symbol, replaces)})
