"""Notification subscriptions: the list, one subscription with its delivery log, and its buttons."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from access.actors import Actor
from access.roles import Role
from dashboard.subscription_form import SubscriptionForm
from dashboard.views.decorators import PageRequest, page, require_role
from operations.models import Delivery, Subscription
from operations.notifications import subscriptions
from operations.notifications.signing import secret_of

LOG_LENGTH = 50
PATH = "dashboard:notifications"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@require_role(Role.STAFF)
def notifications(request: PageRequest) -> HttpResponse:
    """List subscriptions and create one. The secret of a new webhook is shown in this response only."""
    form = SubscriptionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        subscription = subscriptions.create(form.save(commit=False), Actor.from_request(request))
        if subscription.channel == Subscription.Channel.WEBHOOK:
            return _detail(request, subscription, secret=secret_of(subscription))
        return redirect("dashboard:notification", subscription.pk)
    rows = Subscription.objects.annotate(
        pending=Count("deliveries", filter=Q(deliveries__state=Delivery.State.PENDING)),
        failed=Count("deliveries", filter=Q(deliveries__state=Delivery.State.FAILED)),
        newest=Max("deliveries__created_at"),
    )
    status = 422 if form.is_bound else 200
    return render(request, "notifications/list.html", {"rows": rows, "form": form}, status=status)


@page
@require_role(Role.STAFF)
def notification(request: PageRequest, number: int) -> HttpResponse:
    return _detail(request, get_object_or_404(Subscription, pk=number))


def _detail(request: PageRequest, subscription: Subscription, secret: str = "") -> HttpResponse:
    context = {
        "subscription": subscription,
        "deliveries": subscription.deliveries.all()[:LOG_LENGTH],
        "secret": secret,
    }
    return render(request, "notifications/detail.html", context)


@never_cache
@require_POST
@login_required
@require_role(Role.STAFF)
def notification_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    subscription = get_object_or_404(Subscription, pk=number)
    try:
        return _act(request, subscription, act)
    except Subscription.DoesNotExist as error:  # somebody has just deleted it
        raise Http404 from error


def _act(request: PageRequest, subscription: Subscription, act: str) -> HttpResponse:
    match act:
        case "test":
            subscriptions.send_test(subscription, Actor.from_request(request))
            messages.success(
                request, "Test message queued. Its delivery appears in the log below within seconds."
            )
        case "secret":
            subscriptions.change_secret(subscription, Actor.from_request(request))
            return _detail(request, subscription, secret=secret_of(subscription))
        case "pause" | "continue":
            subscriptions.set_active(subscription, act == "continue", Actor.from_request(request))
        case "delete":
            subscriptions.delete(subscription, Actor.from_request(request))
            messages.success(request, f"{subscription.name} was deleted. No further messages are sent.")
            return redirect(PATH)
        case _:
            return HttpResponse(status=404)
    return redirect("dashboard:notification", subscription.pk)
