"""Webhooks to a receiver on a real socket, whatever it does; mails to Django's outbox."""

import time
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now
from django.utils import timezone

from access import backoff
from access.actors import Actor
from operations.models import Delivery, Subscription
from operations.notifications import delivery as deliveries
from operations.notifications import sending
from operations.notifications.signing import secret_of
from operations.notifications.subscriptions import change_secret, send_test
from operations.tasks import deliver_notifications
from tests.calibration import stretched
from tests.notifications.conftest import Subscribe
from tests.notifications.receiver import Receiver, hang, status, without_end

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
ME = Actor("user:me")


def example() -> Any:
    """The function of docs/notifications.md, as it stands there."""
    text = (ROOT / "docs/notifications.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/notifications.md", "exec"), names)
    return names["verify"]


def due_now() -> None:
    Delivery.objects.update(due_at=Now())


def test_a_message_arrives_signed_as_the_documentation_verifies_it(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscription = subscribe()
    delivery = send_test(subscription, ME)
    assert deliver_notifications() == {"tried": 1, "arrived": 1}
    came = receiver.came[0]
    body = example()(secret_of(subscription), came.headers, came.body)
    assert body["type"] == "test"
    assert came.headers["webhook-id"] == str(delivery.pk)
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.log[0]["status"]) == ("delivered", 1, 204)
    assert deliver_notifications() == {"tried": 0, "arrived": 0}


@pytest.mark.parametrize("change", ["body", "id", "time", "secret"])
def test_a_message_that_was_changed_or_is_old_is_not_ours(
    subscribe: Subscribe, receiver: Receiver, change: str
) -> None:
    subscription = subscribe()
    send_test(subscription, ME)
    deliver_notifications()
    secret, headers, body = secret_of(subscription), dict(receiver.came[0].headers), receiver.came[0].body
    if change == "body":
        body = body.replace(b"test", b"tesT")
    elif change == "id":
        headers["webhook-id"] = "another"
    elif change == "time":
        headers["webhook-timestamp"] = str(int(time.time()) - 3600)
    else:
        change_secret(subscription, ME)
        secret = secret_of(subscription)
    with pytest.raises(ValueError, match="webhook"):
        example()(secret, headers, body)


def test_a_receiver_that_fails_twice_gets_the_same_id_until_it_takes_it(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.answers = [status(500), status(503)]
    delivery = send_test(subscribe(), ME)
    for _ in range(3):
        due_now()
        deliver_notifications()
    assert {came.headers["webhook-id"] for came in receiver.came} == {str(delivery.pk)}
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("delivered", 3)
    assert [entry["problem"] for entry in delivery.log] == ["answered 500", "answered 503", ""]


def test_between_tries_it_waits(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: high)
    receiver.answers = [status(500)]
    send_test(subscribe(), ME)
    deliver_notifications()
    assert deliver_notifications()["tried"] == 0
    pause = Delivery.objects.get().due_at - timezone.now()
    assert deliveries.FIRST_PAUSE_S - stretched(5) < pause.total_seconds() <= deliveries.FIRST_PAUSE_S
    pauses = [
        backoff.full_jitter_s(tries, deliveries.FIRST_PAUSE_S, deliveries.LONGEST_PAUSE_S)
        for tries in range(1, 11)
    ]
    assert pauses[:3] == [20, 40, 80]
    assert pauses[-1] == 3600


def test_after_ten_tries_it_is_given_up(subscribe: Subscribe, receiver: Receiver) -> None:
    receiver.answers = [status(500)] * 20
    send_test(subscribe(), ME)
    for _ in range(12):
        due_now()
        deliver_notifications()
    assert len(receiver.came) == deliveries.MAX_TRIES
    delivery = Delivery.objects.get()
    assert (delivery.state, len(delivery.log)) == ("failed", 10)


def test_a_redirect_is_not_followed(subscribe: Subscribe, receiver: Receiver) -> None:
    receiver.answers = [status(302, Location="http://127.0.0.1:1/elsewhere")]
    delivery = send_test(subscribe(), ME)
    deliver_notifications()
    delivery.refresh_from_db()
    assert delivery.log[0]["problem"] == "answered 302 (redirects are not followed)"


def test_what_has_piled_up_is_sent_at_once_until_something_does_not_arrive(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LAST_ROUND_AFTER_S", 60)
    subscription = subscribe()
    for _ in range(2 * deliveries.BATCH + 5):
        send_test(subscription, ME)
    assert deliver_notifications() == {"tried": 45, "arrived": 45}
    for _ in range(2 * deliveries.BATCH):
        send_test(subscription, ME)
    receiver.answers = [status(500)]
    assert deliver_notifications() == {"tried": 20, "arrived": 19}


def test_a_receiver_that_hangs_costs_no_more_than_the_timeout(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.3)
    receiver.answers = [hang]
    delivery = send_test(subscribe(), ME)
    deliver_notifications()
    delivery.refresh_from_db()
    assert delivery.log[0]["problem"] == "no response within 0.3 s"


def test_an_answer_of_100_megabytes_is_not_read(subscribe: Subscribe, receiver: Receiver) -> None:
    receiver.answers = [without_end]
    delivery = send_test(subscribe(), ME)
    assert deliver_notifications()["arrived"] == 1
    delivery.refresh_from_db()
    assert delivery.log[0]["seconds"] < sending.TIMEOUT_S


def test_what_a_chore_that_died_had_claimed_is_sent_again_under_the_same_id(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    delivery = send_test(subscribe(), ME)
    (abandoned,) = deliveries.claim()
    assert deliveries.claim() == [], "leased"
    due_now()
    assert deliver_notifications()["arrived"] == 1
    assert receiver.came[0].headers["webhook-id"] == str(delivery.pk)
    late = sending.Outcome(1.0, None, "no answer")
    assert not deliveries.record_outcome(abandoned, late), "the late task changes nothing"
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_of_a_deleted_subscription_nothing_is_sent_even_while_it_is_being_sent(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscription = subscribe()
    send_test(subscription, ME)
    claimed = deliveries.claim()
    subscription.delete()
    assert not deliveries.record_outcome(claimed[0], sending.Outcome(0.1, 204))
    assert deliver_notifications()["tried"] == 0
    assert receiver.came == []


def test_a_paused_subscription_keeps_what_is_due(subscribe: Subscribe, receiver: Receiver) -> None:
    send_test(subscribe(active=False), ME)
    assert deliver_notifications()["tried"] == 0
    Subscription.objects.update(active=True)
    assert deliver_notifications()["arrived"] == 1


def test_an_address_that_became_private_is_not_called(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    delivery = send_test(subscribe(), ME)
    settings.HOOK_NETWORKS = []
    deliver_notifications()
    assert receiver.came == []
    delivery.refresh_from_db()
    assert "neither public nor inside KTRDR_HOOK_NETWORKS" in delivery.log[0]["problem"]


def test_a_mail_says_what_happened_and_bears_the_deliverys_id(subscribe: Subscribe, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "KTRDR <ktrdr@example.org>"
    delivery = send_test(subscribe(channel="email", target="me@example.org"), ME)
    Delivery.objects.update(
        kind="operation.failed",
        payload={
            "data": {
                "operation_type": "training", "operation_id": "abc", "worker_id": "w", "attempt": 1,
                "error": {"class": "job", "message": "no bars"}, "url": "https://k/dashboard/operations/abc",
            }
        },
    )  # fmt: skip
    assert deliver_notifications()["arrived"] == 1
    (sent,) = mail.outbox
    assert sent.to == ["me@example.org"]
    assert sent.subject == "KTRDR: training abc failed"
    assert "job: no bars" in sent.body
    assert sent.message()["Message-ID"] == f"<{delivery.pk}@example.org>"


def test_a_mail_server_that_is_not_there_is_a_problem_of_that_try(
    subscribe: Subscribe, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    delivery = send_test(subscribe(channel="email", target="me@example.org"), ME)
    deliver_notifications()
    delivery.refresh_from_db()
    assert "refused" in delivery.log[0]["problem"]


def test_the_log_of_what_has_ended_is_forgotten_after_a_month(subscribe: Subscribe) -> None:
    subscription = subscribe()
    for ended in ("2020-01-01T00:00Z", Now()):
        send_test(subscription, ME)
        Delivery.objects.filter(state="pending").update(state="delivered", ended_at=ended)
    send_test(subscription, ME)
    assert deliveries.delete_old() == 1
    assert Delivery.objects.count() == 2
