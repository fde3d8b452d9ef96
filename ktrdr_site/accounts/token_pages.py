"""The page of tokens: a person's own, and for staff everybody's and those of the workers. It acts through the API."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from access.roles import Role, role_of
from dashboard.views.actions import permitted
from dashboard.views.request import PageRequest, page
from dashboard.views.through_api import Answer, send

PATHS = {"api": "/tokens", "enrolment": "/enrolment-tokens"}
MOST_SHOWN = 200


@page
def tokens(request: PageRequest) -> HttpResponse:
    return _page(request)


@never_cache
@require_POST
@login_required
def create_token(request: PageRequest) -> HttpResponse:
    """The answer itself shows the new token, once: it is in no redirect, no message and no session."""
    kind = request.POST.get("kind", "")
    if kind not in PATHS:
        raise Http404("There is no such kind of token.")
    body: dict[str, Any] = {"name": request.POST.get("name", "")}
    if kind == "enrolment":
        body["worker_types"] = request.POST.get("worker_types", "").replace(",", " ").split()
    answer = permitted(send(request, "POST", PATHS[kind], body))
    return _page(request, made=kind, answer=answer)


@require_POST
@login_required
def revoke_token(request: PageRequest, kind: str, token_id: int) -> HttpResponse:
    if kind not in PATHS:
        raise Http404("There is no such kind of token.")
    answer = permitted(send(request, "DELETE", f"{PATHS[kind]}/{token_id}"))
    if answer.is_good:
        messages.success(request, "The token was revoked; it is worth nothing from now on.")
    else:
        messages.error(request, answer.detail)
    return redirect("tokens")


def _page(request: PageRequest, made: str = "", answer: Answer | None = None) -> HttpResponse:
    is_staff = role_of(request.user) >= Role.STAFF
    context = {
        "made": made,
        "new_token": answer.data.get("token") if answer and answer.is_good else None,
        "problems": answer.problems if answer else [],
        "api_tokens": _listed(request, "api"),
        "enrolment_tokens": _listed(request, "enrolment") if is_staff else [],
    }
    status = HTTPStatus.OK if answer is None or answer.is_good else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "tokens.html", context, status=status)


def _listed(request: PageRequest, kind: str) -> list[dict[str, Any]]:
    answer = send(request, "GET", f"{PATHS[kind]}?limit={MOST_SHOWN}")
    if not answer.is_good:
        raise PermissionDenied(answer.detail)
    return [_with_times(row) for row in answer.data["results"]]


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: parse_datetime(row[name]) for name in row if name.endswith("_at") and row[name]}
    return {**row, **times}
