"""Pages of schedules: list, form, next due times, one schedule, and its buttons."""

import json
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages import schedules as pages
from dashboard.pages.form_problems import fields_of, problems_without_field
from dashboard.views.confirmation import confirm_submission
from dashboard.views.decorators import PageRequest, page
from operations import repetition
from operations.models import Operation, Schedule
from operations.presentation.forms import request_body
from operations.registered_kinds import kind_of
from operations.schedules import saving

ACTS = {"pause": "Paused: nothing is submitted.", "resume": "Resumed.", "change": "Saved."}


@page
def schedules(request: PageRequest) -> HttpResponse:
    return render(request, "schedules/list.html", {"schedules": pages.list_schedules()})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_schedule(request: PageRequest) -> HttpResponse:
    """Show the form, with `?operation=` for the submission of an operation. A POST is sent to the API."""
    if request.method != "POST":
        return _form_page(request, *_start_values(request.GET.get("operation", "")), ApiResponse(200))
    values = {name: str(value) for name, value in request.POST.items()}
    key = values.get("idempotency_key", "")[:200]
    body = request_body(pages.FORM, values)
    response = call_api(request, "POST", "/schedules", body, key).raise_if_forbidden()
    if not response.is_success:
        return _form_page(request, values, [], response)
    confirm_submission(request, "Schedule created.")
    return redirect("dashboard:schedule", response.data["schedule_id"])


def _start_values(operation_id: str) -> tuple[dict[str, str], list[str]]:
    """Return the values that repeat an operation, and the inputs that the submission lacks. Raises Http404."""
    if not operation_id:
        return {}, []
    operation = get_object_or_404(Operation, pk=operation_id.replace("\0", ""))
    form = kind_of(operation.operation_type).load_form()
    if form is None or form.has_file:
        raise Http404("Operations of this type can only be scheduled through the API.")
    submission = repetition.submission_of(operation, form)
    values = {
        "name": operation.title or f"{kind_of(operation.operation_type).title} of {operation.pk}",
        "operation": json.dumps(submission, indent=2, ensure_ascii=False),
    }
    return values, repetition.lost_inputs(operation)


def _form_page(
    request: PageRequest, values: Mapping[str, str], lost_inputs: list[str], response: ApiResponse
) -> HttpResponse:
    context = {
        "fields": fields_of(pages.FORM, values, response.problems),
        "problems": response.problems,
        "other_problems": problems_without_field(pages.FORM, response.problems),
        "lost_inputs": lost_inputs,
        "is_filled": bool(values),
        "next": pages.next_times(values["cron"], values.get("time_zone", "")) if values.get("cron") else None,
        "idempotency_key": values.get("idempotency_key") or secrets.token_urlsafe(16),
    }
    status = 200 if response.is_success else 422
    return render(request, "schedules/new.html", context, status=status)


@page
def next_times(request: PageRequest) -> HttpResponse:
    """The next due times of the expression in the query."""
    times = pages.next_times(request.GET.get("cron", ""), request.GET.get("time_zone", "UTC"))
    return render(request, "schedules/next.html", {"next": times})


@page
def schedule(request: PageRequest, schedule_id: str) -> HttpResponse:
    row = get_object_or_404(
        Schedule.objects.select_related("created_by", "last_operation"), schedule_id=schedule_id
    )
    return _schedule_page(request, row, pages.values_of(row), ApiResponse(200))


def _schedule_page(
    request: PageRequest, row: Schedule, values: Mapping[str, str], response: ApiResponse
) -> HttpResponse:
    operation_type = str(row.submission.get("operation_type", ""))
    context = {
        "schedule": row,
        "operation_type": operation_type,
        "next": pages.next_times(row.cron, row.time_zone),
        "runs": pages.newest_runs(row),
        "submission": json.dumps(row.submission, indent=2, ensure_ascii=False),
        "fields": fields_of(pages.CHANGE_FORM, values, response.problems),
        "problems": response.problems,
        "refusal": saving.refusal(row, request.user),
    }
    return render(request, "schedules/detail.html", context, status=200 if response.is_success else 422)


@require_POST
@login_required
def schedule_act(request: PageRequest, schedule_id: str, act: str) -> HttpResponse:
    """Pause, resume, change or delete a schedule."""
    path = f"/schedules/{quote(schedule_id)}"
    match act:
        case "pause":
            response = call_api(request, "POST", f"{path}/pause", {"reason": request.POST.get("reason", "")})
        case "resume":
            response = call_api(request, "POST", f"{path}/resume", {})
        case "change":
            names = [field.name for field in pages.CHANGE_FORM.fields]
            changes = {name: request.POST[name] for name in names if name in request.POST}
            response = call_api(request, "PATCH", path, changes)
        case "delete":
            response = call_api(request, "DELETE", path)
        case _:
            return HttpResponse(status=404)
    response.raise_if_forbidden()
    if act == "delete" and response.is_success:
        messages.success(request, "The schedule was deleted; its operations stay.")
        return redirect("dashboard:schedules")
    if response.is_success:
        confirm_submission(request, ACTS[act])
    elif act == "change" and response.status == 422:
        values = {name: str(value) for name, value in request.POST.items()}
        row = get_object_or_404(Schedule.objects.select_related("created_by"), schedule_id=schedule_id)
        return _schedule_page(request, row, values, response)
    else:
        messages.error(request, response.detail)
    return redirect("dashboard:schedule", schedule_id)
