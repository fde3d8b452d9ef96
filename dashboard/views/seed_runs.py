"""Pages of seed runs: list, form, and one seed run."""

import json
import secrets
from collections.abc import Mapping

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages import seed_runs as pages
from dashboard.pages.form_problems import fields_of, problems_without_field
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest, page
from operations import seed_runs as runs
from operations.models import Operation, SeedRun
from operations.presentation.forms import request_body
from operations.registered_kinds import kind_of
from operations.repetition import submission_of
from operations.seeds import seeds_of


@page
def seed_runs(request: PageRequest) -> HttpResponse:
    return render(request, "seed_runs/list.html", {"seed_runs": pages.list_seed_runs()})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_seed_run(request: PageRequest) -> HttpResponse:
    """Show the form, with `?operation=` for the submission of an operation. A POST is sent to the API."""
    if request.method != "POST":
        return _form_page(request, _start_values(request.GET.get("operation", "")), ApiResponse(200))
    values = {name: str(value) for name, value in request.POST.items()}
    key = values.get("idempotency_key", "")[:200]
    body = request_body(pages.FORM, values)
    response = call_api(request, "POST", "/seed-runs", body, key).raise_if_forbidden()
    if not response.is_success:
        return _form_page(request, values, response)
    confirm_submission(request, "Submitted.")
    return redirect("dashboard:seed_run", response.data["seed_run_id"])


def _start_values(operation_id: str) -> dict[str, str]:
    """Return the values that repeat an operation. Raises Http404 if its type has no form or no seed."""
    if not operation_id:
        return {"seeds": "5"}
    operation = get_object_or_404(Operation, pk=operation_id.replace("\0", ""))
    form = kind_of(operation.operation_type).load_form()
    if form is None or seeds_of(operation.operation_type) is None:
        raise Http404("Operations of this type do not have a seed.")
    return {
        "seeds": "5",
        "operation": json.dumps(submission_of(operation, form), indent=2, ensure_ascii=False),
    }


def _form_page(request: PageRequest, values: Mapping[str, str], response: ApiResponse) -> HttpResponse:
    context = {
        "fields": fields_of(pages.FORM, values, response.problems),
        "is_filled": "operation" in values,
        "problems": response.problems,
        "other_problems": problems_without_field(pages.FORM, response.problems),
        "idempotency_key": values.get("idempotency_key") or secrets.token_urlsafe(16),
    }
    return render(request, "seed_runs/new.html", context, status=200 if response.is_success else 422)


@page
def seed_run(request: PageRequest, seed_run_id: str) -> HttpResponse:
    row = get_object_or_404(SeedRun.objects.select_related("created_by"), seed_run_id=seed_run_id)
    members = runs.members_of(row)
    context = {
        "seed_run": row,
        "members": members,
        "tables": pages.tables(runs.spreads(members)),
        "ended": sum(member.operation.is_final for member in members),
    }
    return render(request, "seed_runs/detail.html", context)
