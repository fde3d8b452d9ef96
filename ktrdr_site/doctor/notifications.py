"""Whether notifications are sent and arrive."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Max, Min
from django.db.models.functions import Now

from ktrdr_site.doctor.finding import Finding, problem, warning
from operations.models import Delivery, Subscription

CHECK = "notifications"
OVERDUE_AFTER = timedelta(seconds=120)
"""Twice the lease of a delivery chore that died while sending."""
FAILING_FROM_TRIES = 3
LATELY = timedelta(days=1)


def deliveries() -> Iterator[Finding]:
    yield from _overdue()
    yield from _failing_deliveries()
    yield from _missing_mail_server()


def _overdue() -> Iterator[Finding]:
    overdue = Delivery.objects.filter(
        state=Delivery.State.PENDING, subscription__active=True, due_at__lt=Now() - OVERDUE_AFTER
    ).aggregate(count=Count("pk"), oldest=Min("created_at"))
    if overdue["count"]:
        yield problem(
            CHECK,
            f"Notifications are overdue ({overdue['count']}, the oldest from {overdue['oldest']:%Y-%m-%d %H:%M}) and are not being sent.",
            "Start manage.py run_schedules, which sends due notifications every few seconds, or check its log.",
        )


def _failing_deliveries() -> Iterator[Finding]:
    """One finding per subscription with deliveries that recently failed for good or keep failing."""
    given_up = Delivery.objects.filter(state=Delivery.State.FAILED, ended_at__gt=Now() - LATELY)
    failing = Delivery.objects.filter(
        state=Delivery.State.PENDING, subscription__active=True, tries__gte=FAILING_FROM_TRIES
    )
    for deliveries, state in ((given_up, "failed for good since yesterday"), (failing, "keep failing")):
        rows = deliveries.values("subscription", "subscription__name").annotate(
            count=Count("pk"), newest=Max("created_at")
        )
        for row in rows.order_by("subscription__name"):
            newest = deliveries.filter(subscription=row["subscription"], created_at=row["newest"])
            log = newest.values_list("log", flat=True)[0]
            last = f" Last response: {log[-1]['problem']}." if log else ""
            yield warning(
                CHECK,
                f"Notifications to {row['subscription__name']} {state} ({row['count']}).{last}",
                f"Fix the receiver or its address, then send a test: /dashboard/notifications/{row['subscription']}.",
            )


def _missing_mail_server() -> Iterator[Finding]:
    if settings.EMAIL_CONFIGURED:
        return
    by_mail = Subscription.objects.filter(channel=Subscription.Channel.EMAIL, active=True)
    names = list(by_mail.values_list("name", flat=True))
    if names:
        yield problem(
            CHECK,
            f"The subscriptions {', '.join(names)} use e-mail, but no mail server is configured.",
            "Set KTRDR_EMAIL_URL for web and schedules, or pause these subscriptions.",
        )
