"""Buttons: cancel, retry, resume; cordon, drain, uncordon, remove a worker; delete market data."""

from http import HTTPStatus
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from dashboard.views.request import PageRequest
from dashboard.views.through_api import Answer, send

OPERATION_ACTS = {
    "cancel": ("DELETE", "/operations/{}/cancel", "Cancelling was requested."),
    "retry": ("POST", "/operations/{}/retry", "It is queued again, from its start."),
    "resume": ("POST", "/operations/{}/resume", "It is queued again, from its newest checkpoint."),
}
MOST_AT_ONCE = 200


def permitted(answer: Answer) -> Answer:
    """The API's answer, or the page that says why this person may not."""
    if answer.status == HTTPStatus.FORBIDDEN:
        raise PermissionDenied(answer.detail)
    return answer


def act_on_operation(request: HttpRequest, operation_id: str, act: str) -> Answer:
    method, path, _ = OPERATION_ACTS[act]
    return send(request, method, path.format(operation_id))


@require_POST
@login_required
def act(request: PageRequest, operation_id: str, act: str) -> HttpResponse:
    """A page that is out of date is told so: the API's refusal is shown, and the page as it is now."""
    if act not in OPERATION_ACTS:
        return HttpResponse(status=404)
    _tell(request, act_on_operation(request, operation_id, act), OPERATION_ACTS[act][2])
    return redirect("dashboard:operation", operation_id)


@require_POST
@login_required
def act_on_many(request: PageRequest) -> HttpResponse:
    chosen = request.POST.getlist("operation")[:MOST_AT_ONCE]
    act = request.POST.get("act", "")
    if act == "compare":
        return redirect(f"/dashboard/compare?{urlencode({'operation': chosen}, doseq=True)}")
    if not chosen:
        messages.warning(request, "No operation was chosen.")
    elif act in OPERATION_ACTS:
        answers = [(pk, permitted(act_on_operation(request, quote(pk, safe=""), act))) for pk in chosen]
        done = sum(answer.is_good for _, answer in answers)
        if done:
            messages.success(request, f"{act.capitalize()}: {done} of {len(chosen)} operations.")
        for pk, answer in [pair for pair in answers if not pair[1].is_good][:5]:
            messages.warning(request, f"{pk}: {answer.detail}")
    return redirect(_back(request))


def _back(request: PageRequest) -> str:
    """Where the form says it came from, if that is a page of this site."""
    wanted = request.POST.get("next", "")
    is_ours = wanted.startswith("/dashboard/") and url_has_allowed_host_and_scheme(wanted, None)
    return wanted if is_ours else "/dashboard/operations"


@require_POST
@login_required
def worker_act(request: PageRequest, worker_id: str, act: str) -> HttpResponse:
    reason = request.POST.get("reason", "")
    if act in ("cordon", "drain"):
        body = {"reason": reason, **({"drain": True} if act == "drain" else {})}
        _tell(request, send(request, "POST", f"/workers/{worker_id}/cordon", body), "It gets no new work.")
    elif act == "uncordon":
        _tell(request, send(request, "POST", f"/workers/{worker_id}/uncordon", {}), "It gets new work again.")
    elif act == "remove":
        answer = send(request, "DELETE", f"/workers/{worker_id}")
        _tell(request, answer, f"{worker_id} was removed.")
        if answer.is_good:
            return redirect("dashboard:workers")
    else:
        return HttpResponse(status=404)
    return redirect("dashboard:worker", worker_id)


@require_POST
@login_required
def market_data_delete(request: PageRequest, symbol: str, timeframe: str) -> HttpResponse:
    answer = send(request, "DELETE", f"/market-data/{quote(symbol)}/{timeframe}")
    _tell(request, answer, f"{symbol} {timeframe} was deleted.")
    return redirect("dashboard:market_data")


def _tell(request: PageRequest, answer: Answer, success: str) -> None:
    if permitted(answer).is_good:
        messages.success(request, success)
    else:
        messages.error(request, answer.detail)
