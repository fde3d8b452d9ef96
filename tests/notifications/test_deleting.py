"""A subscription that is deleted while something happens that it concerns: neither of the two fails."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from operations import interruptions, reports
from operations.actors import SYSTEM
from operations.models import Delivery, Operation, Subscription
from operations.notifications import outbox, subscriptions
from operations.states import Status
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory
from tests.interleaving import act_before_commit_of
from tests.notifications.conftest import Subscribe
from worker_agent.protocol import ErrorClass, OperationError, Outcome, Report

pytestmark = pytest.mark.django_db(transaction=True)


def report(operation: Operation, outcome: Outcome) -> None:
    error = OperationError(error_class=ErrorClass.JOB, message="no") if outcome is Outcome.FAILED else None
    reports.apply(operation.pk, "w", Report(attempt=1, instance_id="first", outcome=outcome, error=error))


CHANGES: dict[str, tuple[Callable[[Operation], object], Status]] = {
    "completes": (lambda operation: report(operation, Outcome.COMPLETED), Status.COMPLETED),
    "fails": (lambda operation: report(operation, Outcome.FAILED), Status.FAILED),
    "is lost": (lambda operation: interruptions.mark_lost(operation.pk, 1, SYSTEM, "gone"), Status.PENDING),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> tuple[Callable[[], object], Callable[[], bool]]:
    """A change with notifications, and whether it has been made."""
    WorkerFactory(worker_id="w", instance_id="first")
    operation = OperationFactory()
    start_next(SYSTEM)
    make, status = CHANGES[request.param]
    return lambda: make(operation), lambda: Operation.objects.get(pk=operation.pk).status == status


def test_a_deletion_waits_for_a_change_that_stores_a_delivery(
    subscribe: Subscribe, change: tuple[Callable[[], object], Callable[[], bool]]
) -> None:
    make, is_made = change
    subscription = subscribe()

    def make_it() -> None:
        make()
        assert Delivery.objects.count() == 1

    act_before_commit_of(make_it, lambda: subscriptions.delete(subscription, SYSTEM))
    assert is_made()
    assert not Delivery.objects.exists()
    assert not Subscription.objects.exists()


def test_a_change_does_not_wait_for_a_deletion_and_tells_the_others(
    subscribe: Subscribe, change: tuple[Callable[[], object], Callable[[], bool]]
) -> None:
    make, is_made = change
    subscription = subscribe()
    subscribe(name="other")

    def make_it() -> bool:
        make()
        return is_made()

    was_made_before_the_deletion_ended = act_before_commit_of(
        lambda: subscriptions.delete(subscription, SYSTEM), make_it
    )
    assert was_made_before_the_deletion_ended
    assert [delivery.subscription.name for delivery in Delivery.objects.all()] == ["other"]


def test_two_deletions_at_the_same_time_delete_once(subscribe: Subscribe) -> None:
    subscription = subscribe()
    same = Subscription.objects.get(pk=subscription.pk)
    act_before_commit_of(
        lambda: subscriptions.delete(subscription, SYSTEM), lambda: subscriptions.delete(same, SYSTEM)
    )
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("act", ["test", "secret", "pause", "continue", "delete"])
def test_an_action_on_a_subscription_that_has_just_been_deleted_is_not_an_error(
    subscribe: Subscribe, client: Client, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = subscribe()
    client.force_login(User.objects.create_superuser("admin"))

    def delete_first(*arguments: object) -> object:
        Subscription.objects.filter(pk=subscription.pk).delete()
        return real(*arguments)  # type: ignore[arg-type]

    name = {"test": "send_test", "secret": "change_secret", "delete": "delete"}.get(act, "set_active")
    real = getattr(subscriptions, name)
    monkeypatch.setattr(subscriptions, name, delete_first)
    response = client.post(reverse("dashboard:notification_act", args=[subscription.pk, act]))
    assert response.status_code == (404 if act in ("test", "secret") else 302)
    assert not Delivery.objects.exists()


def test_a_subscription_that_is_being_changed_still_gets_its_messages(subscribe: Subscribe) -> None:
    subscription = subscribe()
    kept = act_before_commit_of(
        lambda: subscriptions.change_secret(subscription, SYSTEM),
        lambda: outbox.keep([subscription.pk]),
    )
    assert kept == {subscription.pk}
