"""The tokens page: a user's own API tokens; for staff, those of all users and worker enrolment tokens."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from access.roles import Role, role_of
from dashboard.internal_api import ApiResponse, call_api, with_times
from dashboard.views.decorators import PageRequest, page

PATHS = {"api": "/tokens", "enrolment": "/enrolment-tokens"}
MAX_TOKENS = 200


@page
def tokens(request: PageRequest) -> HttpResponse:
    return _page(request)


@never_cache
@require_POST
@login_required
def create_token(request: PageRequest) -> HttpResponse:
    """Create a token and show it in this response only; it is not stored in a message or session."""
    kind = request.POST.get("kind", "")
    if kind not in PATHS:
        raise Http404("Unknown kind of token.")
    body: dict[str, Any] = {"name": request.POST.get("name", "")}
    if kind == "api":
        body |= {"scope": request.POST.get("scope") or "full"}
        if days := request.POST.get("expires_in_days"):
            body["expires_in_days"] = days
    if kind == "enrolment":
        for field in ("worker_types", "operation_types"):
            body[field] = request.POST.get(field, "").replace(",", " ").split()
    response = call_api(request, "POST", PATHS[kind], body).raise_if_forbidden()
    return _page(request, response=response)


@require_POST
@login_required
def revoke_token(request: PageRequest, kind: str, token_id: int) -> HttpResponse:
    if kind not in PATHS:
        raise Http404("Unknown kind of token.")
    response = call_api(request, "DELETE", f"{PATHS[kind]}/{token_id}").raise_if_forbidden()
    if response.is_success:
        messages.success(request, "Token revoked. It no longer works.")
    else:
        messages.error(request, response.detail)
    return redirect("tokens")


def _page(request: PageRequest, response: ApiResponse | None = None) -> HttpResponse:
    is_staff = role_of(request.user) >= Role.STAFF
    context = {
        "new_token": response.data.get("token") if response and response.is_success else None,
        "problems": response.problems if response else [],
        "api_tokens": _tokens(request, "api"),
        "enrolment_tokens": _tokens(request, "enrolment") if is_staff else [],
    }
    status = HTTPStatus.OK if response is None or response.is_success else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "tokens.html", context, status=status)


def _tokens(request: PageRequest, kind: str) -> list[dict[str, Any]]:
    response = call_api(request, "GET", f"{PATHS[kind]}?limit={MAX_TOKENS}")
    if not response.is_success:
        raise PermissionDenied(response.detail)
    return [with_times(row) for row in response.data["results"]]
