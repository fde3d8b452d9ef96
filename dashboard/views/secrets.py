"""The page of staff about stored secrets of jobs. No page contains a value."""

from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from access.permissions import require
from access.roles import Role
from dashboard.internal_api import ApiResponse, call_api, with_times
from dashboard.views.decorators import PageRequest, page

MAX_SECRETS = 200


@page
def secrets_page(request: PageRequest) -> HttpResponse:
    require(request.user, Role.STAFF)
    return _page(request, {"name": request.GET.get("name", "")[:100]})


@require_POST
@login_required
def save_secret(request: PageRequest) -> HttpResponse:
    """Create or change a secret. A form that is shown again after a problem has no value in it."""
    entered = {name: request.POST.get(name, "") for name in ("name", "worker_types")}
    body: dict[str, Any] = {"worker_types": entered["worker_types"].replace(",", " ").split()}
    if value := request.POST.get("value", ""):
        # A browser sends the line breaks of a text area as CR LF; keys in several lines are files with LF.
        body["value"] = value.replace("\r\n", "\n")
    address = f"/secrets/{quote(entered['name'].strip(), safe='') or '-'}"
    response = call_api(request, "PUT", address, body).raise_if_forbidden()
    if not response.is_success:
        return _page(request, entered, response)
    messages.success(request, f"Secret {response.data['name']} saved.")
    return redirect("secrets")


@require_POST
@login_required
def delete_secret(request: PageRequest, name: str) -> HttpResponse:
    response = call_api(request, "DELETE", f"/secrets/{quote(name, safe='')}").raise_if_forbidden()
    if response.is_success:
        messages.success(request, f"Secret {name} deleted.")
    else:
        messages.error(request, response.detail)
    return redirect("secrets")


def _page(request: PageRequest, entered: dict[str, str], response: ApiResponse | None = None) -> HttpResponse:
    listed = call_api(request, "GET", f"/secrets?limit={MAX_SECRETS}").raise_if_forbidden()
    rows = [with_times(row) for row in listed.data["results"]]
    chosen = next((row for row in rows if row["name"] == entered["name"]), None)
    if chosen is not None and response is None:
        entered = {**entered, "worker_types": " ".join(chosen["worker_types"])}
    context = {
        "rows": rows,
        "entered": entered,
        "is_known": chosen is not None,
        "problems": response.problems if response else [],
    }
    return render(request, "secrets.html", context, status=response.status if response else 200)
