"""Save, import, label, archive, delete and restore strategies."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages.operation_labels import read_form
from dashboard.pages.strategy_texts import OF_EXAMPLE, find_text, grouped_texts
from dashboard.pages.submit_preview import symbols_with_bars
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest
from dashboard.views.strategies import page_status, strategy_page
from dashboard.views.undo import remember_deleted_strategy
from operations.strategies import MAX_LENGTH

MAX_FILES = 100
NEW_FIELDS = ("name", "change", "strategy_yaml")
VERSION_FIELDS = ("strategy_yaml", "change", "based_on")
NOT_SAVED = ApiResponse(200)
SKELETON = """\
# Ctrl-Space completes names; a name under the pointer explains itself.
name: my_strategy
version: "3.0"
description: One sentence about the idea.

training_data:
  symbols: {mode: single, symbol: AAPL}
  timeframes: {mode: single, timeframe: 1d}

indicators:
  fast: {type: sma, period: 20}
  slow: {type: sma, period: 100}

model: {type: rules}

decisions:
  long: crosses_above(fast, slow)
  exit_long: crosses_below(fast, slow)
"""


@dataclass(frozen=True, slots=True)
class StrategyAct:
    """The API call behind a button, and the message after it succeeded."""

    method: str
    path: str
    success: str
    body: Mapping[str, object] | None = None


ACTS = {
    "archive": StrategyAct("PATCH", "/strategies/{}", "Archived: lists hide it.", {"archived": True}),
    "unarchive": StrategyAct("PATCH", "/strategies/{}", "Lists show it again.", {"archived": False}),
    "labels": StrategyAct("PATCH", "/strategies/{}", "Saved."),
    "delete": StrategyAct("POST", "/strategies/{}/delete", "Deleted."),
    "restore": StrategyAct("POST", "/strategies/{}/restore", "Restored."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_strategy(request: PageRequest) -> HttpResponse:
    """Show the editor, filled from `?of=`. A POST saves the strategy, or shows the editor with the problems."""
    if request.method == "POST":
        entered = {name: request.POST.get(name, "") for name in NEW_FIELDS}
        response = save_new(request, entered)
        if response.is_success:
            return redirect_to_saved(request, response.data["name"], "Saved.")
        return new_page(request, entered, response, is_filled=True)
    return new_page(request, start_from(request.GET.get("of", "")), is_filled="of" in request.GET)


def start_from(reference: str) -> dict[str, str]:
    """Return the fields of a new strategy that starts from an example, a saved one or a digest."""
    is_example = OF_EXAMPLE in reference
    return {
        "strategy_yaml": find_text(reference) or SKELETON,
        "change": f"from the {reference.replace(OF_EXAMPLE, 'example ')}" if is_example else "",
    }


def new_page(
    request: PageRequest, entered: Mapping[str, str], response: ApiResponse = NOT_SAVED, *, is_filled: bool
) -> HttpResponse:
    """Show the editor of a strategy that is not saved yet."""
    context = {
        **entered,
        "texts": grouped_texts(),
        "symbols": symbols_with_bars(),
        "problems": response.problems,
        "is_filled": is_filled,
    }
    return render(request, "strategies/new.html", context, status=page_status(response))


def save_new(request: PageRequest, entered: Mapping[str, str]) -> ApiResponse:
    body = {name: text for name, text in entered.items() if text.strip()}
    return call_api(request, "POST", "/strategies", body).raise_if_forbidden()


@require_POST
@login_required
def save_version(request: PageRequest, name: str) -> HttpResponse:
    """Save the text as the next version; if it is refused, show it again with the problems."""
    entered = {field: request.POST.get(field, "") for field in VERSION_FIELDS}
    response = save_next(request, name, entered)
    if response.is_success:
        return redirect_to_version(request, name, response)
    if response.status == HTTPStatus.CONFLICT:
        # The person has seen the message; the next save is meant as the successor of the newest version.
        entered.pop("based_on")
    return strategy_page(request, name, response, entered)


def save_next(request: PageRequest, name: str, entered: Mapping[str, str]) -> ApiResponse:
    based_on = entered["based_on"]
    body: dict[str, Any] = {"strategy_yaml": entered["strategy_yaml"], "change": entered["change"]}
    if based_on.isascii() and based_on.isdigit():
        # Cut: no version has a number of ten digits, and a longer one is refused like it.
        body["based_on"] = int(based_on[:10])
    return call_api(request, "POST", f"/strategies/{name}/versions", body).raise_if_forbidden()


def redirect_to_version(request: PageRequest, name: str, response: ApiResponse) -> HttpResponse:
    number = response.data["version"]
    is_new = response.status == HTTPStatus.CREATED
    message = f"Saved as version {number}." if is_new else f"Version {number} has this text already."
    return redirect_to_saved(request, name, message)


@require_POST
@login_required
def import_files(request: PageRequest) -> HttpResponse:
    """Save each of the uploaded files as a strategy."""
    names = []
    for file in request.FILES.getlist("files")[:MAX_FILES]:
        response = call_api(request, "POST", "/strategies", _body_of(file)).raise_if_forbidden()
        if response.is_success:
            names.append(response.data["name"])
        else:
            messages.error(request, f"{file.name}: {response.problems[0].message}")
    if names:
        messages.success(request, f"Imported {', '.join(names)}.")
    elif not request.FILES:
        messages.warning(request, "No file selected.")
    return redirect("dashboard:strategy", names[0]) if len(names) == 1 else redirect("dashboard:strategies")


def _body_of(file: "UploadedFile[Any]") -> dict[str, str]:
    content = file.read(4 * MAX_LENGTH + 4).decode("utf-8-sig", "replace")  # too long if the file is
    return {"strategy_yaml": content, "change": f"imported from {file.name}"[:200]}


@require_POST
@login_required
def strategy_act(request: PageRequest, name: str, act: str) -> HttpResponse:
    """Label, archive, delete or restore a strategy."""
    if act not in ACTS:
        return HttpResponse(status=404)
    call = ACTS[act]
    body = _labels(request) if act == "labels" else call.body
    response = call_api(request, call.method, call.path.format(name), body).raise_if_forbidden()
    if not response.is_success:
        problem = response.problems[0]
        messages.error(request, f"{problem.name}: {problem.text}" if problem.name else problem.text)
        return redirect("dashboard:strategies") if act == "restore" else redirect("dashboard:strategy", name)
    if act == "delete":
        remember_deleted_strategy(request, name)
        return redirect("dashboard:strategies")
    confirm_submission(request, call.success)
    return redirect("dashboard:strategy", response.data["name"])


def _labels(request: PageRequest) -> dict[str, object]:
    name = request.POST.get("name", "").strip()
    return read_form(request.POST) | ({"name": name} if name else {})


def redirect_to_saved(request: PageRequest, name: str, message: str) -> HttpResponse:
    confirm_submission(request, message)
    return redirect("dashboard:strategy", name)
