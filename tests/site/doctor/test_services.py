"""Faults of schedules, notifications and dispatchers are found."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import Schedule, Task

from ktrdr_site.doctor import notifications, services
from ktrdr_site.doctor.finding import Severity
from operations.models import Delivery, Subscription
from operations.tasks import PERIODIC_TASKS
from registry.models import Sweep
from registry.schedules import ensure_schedules
from tests.site.doctor.findings import only

database_needed = pytest.mark.django_db


@database_needed
def test_schedules_that_are_dead_deleted_or_failing_are_found(healthy: None) -> None:
    assert list(services.schedules()) == []
    Schedule.objects.filter(func="registry.tasks.registry_cleanup").delete()
    assert "registry.tasks.registry_cleanup was deleted" in only(services.schedules()).problem
    ensure_schedules(PERIODIC_TASKS)
    now = timezone.now()
    Task.objects.create(
        id="a" * 32,
        name="t",
        func="registry.tasks.health_sweep",
        started=now,
        stopped=now,
        success=False,
        result="boom",
    )
    Task.objects.create(
        id="b" * 32, name="t", func="operations.tasks.deliver_notifications", started=now, stopped=now, success=True
    )  # fmt: skip
    assert "health_sweep failed: boom" in only(services.schedules()).problem, (
        "even if another chore succeeded since"
    )
    Task.objects.all().delete()
    Sweep.objects.update(completed_at=Now() - timedelta(seconds=100))
    assert "completed 100 s ago" in only(services.schedules()).problem
    Sweep.objects.all().delete()
    assert "has never completed" in only(services.schedules()).problem


@database_needed
def test_every_chore_has_a_remedy() -> None:
    ensure_schedules(PERIODIC_TASKS)
    assert set(Schedule.objects.values_list("func", flat=True)) == services.REMEDIES.keys()


@pytest.fixture
def subscription(db: None) -> Subscription:
    return Subscription.objects.create(name="on call", channel="webhook", target="https://1.1.1.1/")


def delivery(subscription: Subscription, **fields: Any) -> None:
    log = [{"at": "now", "status": 500, "problem": "answered 500", "seconds": 0.1}]
    defaults = {"kind": "operation.failed", "payload": {"data": {}}, "log": log}
    Delivery.objects.create(subscription=subscription, key=str(fields), **{**defaults, **fields})


def test_overdue_notifications_are_found(subscription: Subscription) -> None:
    delivery(subscription)
    assert list(notifications.deliveries()) == [], "it is due and will be sent in a moment"
    Delivery.objects.update(due_at=Now() - timedelta(minutes=5))
    finding = only(notifications.deliveries())
    assert finding.problem.startswith("Notifications are overdue (1, ")
    assert "run_schedules" in finding.remedy
    Subscription.objects.update(active=False)
    assert list(notifications.deliveries()) == [], "paused notifications wait"


def test_notifications_that_do_not_arrive_are_found_with_the_receivers_answer(
    subscription: Subscription,
) -> None:
    delivery(subscription, tries=2)
    delivery(subscription, tries=10, state="failed", ended_at=Now() - timedelta(days=2))
    assert list(notifications.deliveries()) == []
    delivery(subscription, tries=3)
    finding = only(notifications.deliveries(), Severity.WARNING)
    assert finding.problem == "Notifications to on call keep failing (1). Last response: answered 500."
    assert f"/dashboard/notifications/{subscription.pk}" in finding.remedy
    Delivery.objects.filter(tries=3).update(state="failed", ended_at=Now())
    assert "failed for good since yesterday" in only(notifications.deliveries(), Severity.WARNING).problem


def test_mail_that_is_wanted_without_a_mail_server_is_found(
    subscription: Subscription, settings: Any
) -> None:
    Subscription.objects.update(channel="email", target="me@example.org")
    assert "KTRDR_EMAIL_URL" in only(notifications.deliveries()).remedy
    settings.EMAIL_CONFIGURED = True
    assert list(notifications.deliveries()) == []


@database_needed
def test_a_dispatcher_that_is_dead_is_found() -> None:
    assert "No dispatcher is running" in only(services.dispatcher()).problem
