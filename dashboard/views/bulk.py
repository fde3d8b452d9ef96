"""Cancel or retry all operations that match the filters of the list, after a confirmation."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access.roles import Role
from dashboard.internal_api import ApiResponse, call_api
from dashboard.pages.operation_list import api_filters, filter_operations
from dashboard.pages.operation_rows import describe
from dashboard.views.decorators import PageRequest, require_role
from operations.bulk import CANCEL, RETRY

ACTIONS = {action.name: action for action in (CANCEL, RETRY)}
SHOWN = 10


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@require_role(Role.OPERATOR)
def act_on_all(request: PageRequest, act: str) -> HttpResponse:
    """Show what the action would change; a POST changes it, up to the bound of one API call."""
    if act not in ACTIONS:
        raise Http404("Unknown action.")
    if request.method == "POST":
        return _act(request, act)
    matching, errors = filter_operations(request.GET)
    candidates = ACTIONS[act].candidates(matching)
    context = {
        "act": act,
        "number": candidates.count(),
        "first": describe(candidates.order_by("created_at", "pk")[:SHOWN]),
        "filters": api_filters(request.GET),
        "errors": errors,
        "query": request.GET.urlencode(),
    }
    return render(request, "operations/act_on_all.html", context)


def _act(request: PageRequest, act: str) -> HttpResponse:
    query = QueryDict(request.META.get("QUERY_STRING", ""))
    body = {**api_filters(query), "reason": request.POST.get("reason", "")}
    response = call_api(request, "POST", f"/operations/{act}", body).raise_if_forbidden()
    if response.is_success:
        report_result(request, act, response)
    else:
        messages.error(request, response.problems[0].text)
    has_more = response.is_success and response.data["remaining"] and response.data["changed"]
    address = reverse("dashboard:act_on_all", args=[act]) if has_more else reverse("dashboard:operations")
    return redirect(f"{address}?{query.urlencode()}")


def report_result(request: PageRequest, act: str, response: ApiResponse) -> None:
    """Add messages with the counts and the first skipped operations."""
    result = response.data
    if result["changed"]:
        messages.success(
            request, f"{act.capitalize()}: {result['changed']} of {result['matched']} operations."
        )
    elif not result["skipped"]:
        messages.warning(request, "No operation matched.")
    report_skipped(request, response)


def report_skipped(request: PageRequest, response: ApiResponse) -> None:
    """Add messages about the first operations that were not changed."""
    result = response.data
    for skipped in result["skipped_operations"][:5]:
        messages.warning(request, f"{skipped['operation_id']}: {skipped['reason']}")
    if result["skipped"] > 5:
        messages.warning(request, f"{result['skipped'] - 5} more were skipped.")
    if result["remaining"]:
        messages.warning(request, f"{result['remaining']} operations remain: continue to change them too.")
