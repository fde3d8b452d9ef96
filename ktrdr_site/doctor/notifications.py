"""Whether those who want to be told are told."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Max, Min
from django.db.models.functions import Now

from ktrdr_site.doctor.finding import Finding, problem, warning
from operations.models import Delivery, Subscription

CHECK = "notifications"
OVERDUE_AFTER = timedelta(seconds=120)
"""Twice the lease of a chore that died while it sent."""
FAILING_FROM_TRIES = 3
LATELY = timedelta(days=1)


def deliveries() -> Iterator[Finding]:
    yield from _nobody_sends()
    yield from _does_not_arrive()
    yield from _no_mail_server()


def _nobody_sends() -> Iterator[Finding]:
    overdue = Delivery.objects.filter(
        state=Delivery.State.PENDING, subscription__active=True, due_at__lt=Now() - OVERDUE_AFTER
    ).aggregate(count=Count("pk"), oldest=Min("created_at"))
    if overdue["count"]:
        yield problem(
            CHECK,
            f"Notifications are overdue ({overdue['count']}, the oldest of {overdue['oldest']:%Y-%m-%d %H:%M}): nobody sends them.",
            "Start manage.py run_schedules, or look at its log: it sends every few seconds what is due.",
        )


def _does_not_arrive() -> Iterator[Finding]:
    """One finding a subscription, of what was given up lately or was tried several times in vain."""
    given_up = Delivery.objects.filter(state=Delivery.State.FAILED, ended_at__gt=Now() - LATELY)
    failing = Delivery.objects.filter(
        state=Delivery.State.PENDING, subscription__active=True, tries__gte=FAILING_FROM_TRIES
    )
    for found, say in ((given_up, "were given up since yesterday"), (failing, "are tried in vain")):
        rows = found.values("subscription", "subscription__name").annotate(
            count=Count("pk"), newest=Max("created_at")
        )
        for row in rows.order_by("subscription__name"):
            of_it = found.filter(subscription=row["subscription"], created_at=row["newest"])
            log = of_it.values_list("log", flat=True)[0]
            last = f" The last answer: {log[-1]['problem']}." if log else ""
            yield warning(
                CHECK,
                f"Notifications to {row['subscription__name']} {say} ({row['count']}).{last}",
                f"Mend the receiver or its address, then send a test: /dashboard/notifications/{row['subscription']}.",
            )


def _no_mail_server() -> Iterator[Finding]:
    if settings.EMAIL_CONFIGURED:
        return
    by_mail = Subscription.objects.filter(channel=Subscription.Channel.EMAIL, active=True)
    names = list(by_mail.values_list("name", flat=True))
    if names:
        yield problem(
            CHECK,
            f"{', '.join(names)} are to be told by e-mail, and no mail server is set up.",
            "Set KTRDR_EMAIL_URL for web and schedules, or pause the subscription.",
        )
