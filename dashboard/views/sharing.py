"""Links to a result for people without an account: create, revoke, and the page that they read."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from access.actors import Actor
from access.roles import Role
from dashboard.pages.results import result_context
from dashboard.views.decorators import PageRequest, require_role
from operations import sharing
from operations.models import Operation
from operations.presentation.subject import strategies_of_models, subject
from operations.registered_kinds import kind_of


@never_cache
@require_POST
@login_required
@require_role(Role.OPERATOR)
def share(request: PageRequest, operation_id: str) -> HttpResponse:
    """Create a link and show it in this response only; it is not stored in a message or session."""
    operation = get_object_or_404(Operation, pk=operation_id)
    days = request.POST.get("days", "")
    number = int(days) if days.isascii() and days.isdigit() and len(days) < 5 else 0
    if not 1 <= number <= sharing.MAX_DAYS:
        messages.error(request, f"A link expires after 1 to {sharing.MAX_DAYS} days.")
        return redirect("dashboard:operation", operation_id)
    try:
        token = sharing.share(operation, number, Actor.from_request(request))
    except sharing.NotShareable as error:
        messages.error(request, str(error))
        return redirect("dashboard:operation", operation_id)
    address = request.build_absolute_uri(reverse("shared_result", args=[token]))
    context = {"operation": operation, "address": address, "days": number}
    return render(request, "sharing/created.html", context)


@require_POST
@login_required
@require_role(Role.OPERATOR)
def revoke_link(request: PageRequest, operation_id: str, number: int) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=operation_id)
    if sharing.revoke(operation, number, Actor.from_request(request)):
        messages.success(request, "Link revoked. It no longer works.")
    else:
        messages.error(request, "This link had already expired or been revoked.")
    return redirect("dashboard:operation", operation_id)


@never_cache
@require_safe
def shared_result(request: HttpRequest, token: str) -> HttpResponse:
    """Show one result to anybody with its link. The page leads to nothing else on the site."""
    operation = sharing.find_shared(token)
    if operation is None:
        response = render(request, "sharing/gone.html", status=HTTPStatus.NOT_FOUND)
    else:
        context = {
            "operation": operation,
            "about": subject(operation, strategies_of_models([operation])),
            "kind_title": kind_of(operation.operation_type).title,
            **result_context(operation),
            "is_shared": True,
        }
        response = render(request, "sharing/result.html", context)
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
