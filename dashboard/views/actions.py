"""Buttons: cancel, retry and resume operations; cordon, drain, uncordon and remove workers; delete market data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages.operation_labels import read_form
from dashboard.views.addresses import local_address
from dashboard.views.bulk import report_result, report_skipped
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest
from dashboard.views.undo import remember_deleted
from operations.states import Status


@dataclass(frozen=True, slots=True)
class OperationAct:
    """The API call behind a button, and the message after it succeeded."""

    method: str
    path: str
    success: str
    body: Mapping[str, object] | None = None


OPERATION_ACTS = {
    "cancel": OperationAct("DELETE", "/operations/{}/cancel", "Cancellation requested."),
    "retry": OperationAct("POST", "/operations/{}/retry", "Queued again from the beginning."),
    "resume": OperationAct("POST", "/operations/{}/resume", "Queued again from the newest checkpoint."),
    "archive": OperationAct("PATCH", "/operations/{}", "Archived: lists hide it.", {"archived": True}),
    "unarchive": OperationAct("PATCH", "/operations/{}", "Lists show it again.", {"archived": False}),
    "dismiss": OperationAct("PATCH", "/operations/{}", "Dismissed.", {"dismissed": True}),
    "delete": OperationAct("POST", "/operations/{}/delete", "Deleted."),
}
CORDON_MESSAGES = {
    "cordon": "Cordoned: it will get no new work.",
    "drain": "Draining: it gets no new work and shuts down when its operation ends.",
}
MAX_SELECTED = 200


@dataclass(frozen=True, slots=True)
class BulkAct:
    """The API call behind a button for a selection; `body` returns what it needs beside the ids."""

    route: str
    body: Callable[[QueryDict], dict[str, object]] = lambda form: {}


def _labels(**labels: object) -> Callable[[QueryDict], dict[str, object]]:
    return lambda form: {"labels": labels}


BULK_ACTS = {
    "cancel": BulkAct("cancel"),
    "retry": BulkAct("retry"),
    "delete": BulkAct("delete"),
    "restore": BulkAct("restore"),
    "archive": BulkAct("label", _labels(archived=True)),
    "unarchive": BulkAct("label", _labels(archived=False)),
    "tag": BulkAct("label", lambda form: {"labels": {"add_tags": [form.get("tag", "")]}}),
    "untag": BulkAct("label", lambda form: {"labels": {"remove_tags": [form.get("tag", "")]}}),
}


def act_on_operation(request: HttpRequest, operation_id: str, act: str) -> ApiResponse:
    """Call the API for one operation."""
    call = OPERATION_ACTS[act]
    return call_api(request, call.method, call.path.format(operation_id), call.body)


def success_message(act: str, response: ApiResponse) -> str:
    """Return the message after a successful call; a pending operation is cancelled at once."""
    if act == "cancel" and response.data.get("status") == Status.CANCELLED:
        return "Cancelled."
    return OPERATION_ACTS[act].success


@require_POST
@login_required
def act(request: PageRequest, operation_id: str, act: str) -> HttpResponse:
    """Act on an operation and show its page; if the page was outdated, with the API's error message."""
    if act not in OPERATION_ACTS:
        return HttpResponse(status=404)
    response = act_on_operation(request, operation_id, act)
    if act == "delete" and response.is_success:
        remember_deleted(request, [operation_id])
        return redirect(_return_address(request))
    _add_message(request, response, success_message(act, response))
    if request.POST.get("next"):
        return redirect(_return_address(request))
    return redirect("dashboard:operation", operation_id)


@require_POST
@login_required
def labels(request: PageRequest, operation_id: str) -> HttpResponse:
    """Save title, tags and note of an operation."""
    response = call_api(request, "PATCH", f"/operations/{operation_id}", read_form(request.POST))
    response.raise_if_forbidden()
    if response.is_success:
        confirm_submission(request, "Saved.")
    else:
        problem = response.problems[0]
        messages.error(request, f"{problem.name}: {problem.text}" if problem.name else problem.text)
    return redirect("dashboard:operation", operation_id)


@require_POST
@login_required
def act_on_many(request: PageRequest) -> HttpResponse:
    """Act on the selected operations, or compare them."""
    selected = request.POST.getlist("operation")[:MAX_SELECTED]
    act = request.POST.get("act", "")
    if act == "compare":
        query = {"operation": selected, "from": _return_address(request)}
        return redirect(f"/dashboard/compare?{urlencode(query, doseq=True)}")
    call = BULK_ACTS.get(act)
    if not selected:
        messages.warning(request, "No operation selected.")
    elif call is not None:
        body = {"ids": selected, **call.body(request.POST)}
        response = call_api(request, "POST", f"/operations/{call.route}", body).raise_if_forbidden()
        if not response.is_success:
            messages.error(request, response.problems[0].text)
        elif act == "delete":
            skipped = {row["operation_id"] for row in response.data["skipped_operations"]}
            remember_deleted(request, [pk for pk in selected if pk not in skipped])
            report_skipped(request, response)
        else:
            report_result(request, act, response)
    return redirect(_return_address(request))


def _return_address(request: PageRequest) -> str:
    """Return the page that sent the form, if it belongs to this site, or the list of operations."""
    return local_address(request.POST.get("next", ""), "/dashboard/operations")


@require_POST
@login_required
def worker_act(request: PageRequest, worker_id: str, act: str) -> HttpResponse:
    """Cordon, drain, uncordon or remove a worker."""
    reason = request.POST.get("reason", "")
    if act in ("cordon", "drain"):
        body = {"reason": reason, **({"drain": True} if act == "drain" else {})}
        response = call_api(request, "POST", f"/workers/{worker_id}/cordon", body)
        _add_message(request, response, CORDON_MESSAGES[act])
    elif act == "uncordon":
        response = call_api(request, "POST", f"/workers/{worker_id}/uncordon", {})
        _add_message(request, response, "Uncordoned: it gets new work again.")
    elif act == "remove":
        response = call_api(request, "DELETE", f"/workers/{worker_id}")
        _add_message(request, response, f"{worker_id} was removed.")
        if response.is_success:
            return redirect("dashboard:workers")
    else:
        return HttpResponse(status=404)
    return redirect("dashboard:worker", worker_id)


@require_POST
@login_required
def dispatch_pause(request: PageRequest) -> HttpResponse:
    """Pause or resume dispatching."""
    if request.POST.get("act") == "resume":
        _add_message(request, call_api(request, "DELETE", "/dispatch-pause"), "Dispatching continues.")
    else:
        hours = request.POST.get("hours", "").strip()
        body = {
            "reason": request.POST.get("reason", ""),
            "hours": hours or None,
            "read_only": "read_only" in request.POST,
        }
        response = call_api(request, "PUT", "/dispatch-pause", body).raise_if_forbidden()
        if not response.is_success:
            messages.error(request, f"Not paused. {response.problems[0].name}: {response.problems[0].text}")
    return redirect("dashboard:workers")


@require_POST
@login_required
def market_data_delete(request: PageRequest, symbol: str, timeframe: str) -> HttpResponse:
    response = call_api(request, "DELETE", f"/market-data/{quote(symbol)}/{timeframe}")
    _add_message(request, response, f"{symbol} {timeframe} was deleted.")
    return redirect("dashboard:market_data")


def _add_message(request: PageRequest, response: ApiResponse, success: str) -> None:
    response.raise_if_forbidden()
    if response.is_success:
        messages.success(request, success)
    else:
        messages.error(request, response.detail)
