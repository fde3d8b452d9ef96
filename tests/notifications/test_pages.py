"""Staff make subscriptions on a page; the secret of a webhook is in one answer alone."""

import re
from typing import Any

import pytest
from django.test import Client

from access.actors import Actor
from access.models import AuditEntry
from access.outbound import BadAddress
from operations.models import Delivery, Subscription
from operations.notifications import receivers, subscriptions
from operations.notifications.receivers import address_of
from operations.notifications.signing import secret_of
from tests.notifications.conftest import Subscribe
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.django_db
PATH = "/dashboard/notifications"
FIELDS = {"name": "mine", "channel": "webhook", "kinds": ["operation.failed"], "operation_type": ""}


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    client.force_login(staff)
    return client


def test_a_webhook_is_made_and_its_secret_shown_once(browser: Client, receiver: Receiver) -> None:
    answer = browser.post(PATH, {**FIELDS, "target": receiver.url})
    made = Subscription.objects.get()
    secret = secret_of(made)
    assert secret in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert made.created_by is not None
    for page in (PATH, f"{PATH}/{made.pk}", f"/admin/operations/subscription/{made.pk}/change/"):
        assert "whsec_" not in browser.get(page).content.decode()
    shown = re.search(r"whsec_[\w+/=]+", browser.post(f"{PATH}/{made.pk}/secret").content.decode())
    assert shown is not None
    assert shown[0] != secret


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"target": "http://169.254.169.254/latest"}, "never called"),
        ({"target": "http://localhost:5432/"}, "neither public nor inside"),
        ({"target": "file:///etc/passwd"}, "must start with http:// or https://"),
        ({"target": "https://user:secret@example.org/"}, "must not contain credentials"),
        ({"target": "https://no-such-host.invalid/"}, "Could not resolve the host"),
        ({"target": "https://example.org/", "kinds": []}, "Select at least one event."),
        ({"channel": "email", "target": "nobody"}, "is not an e-mail address"),
        ({"channel": "email", "target": "me@example.org"}, "set KTRDR_EMAIL_URL"),
    ],
)
def test_what_cannot_be_is_told_beside_its_field(browser: Client, changes: dict[str, Any], says: str) -> None:
    answer = browser.post(PATH, {**FIELDS, **changes})
    assert answer.status_code == 422
    assert says in answer.content.decode().replace("&#x27;", "'")
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    "url",
    ["http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
     "http://0.0.0.0/", "http://10.1.2.3/", "http://100.64.0.1/", "http://[fe80::1]/", "http://224.0.0.1/",
     "http://2130706433/", "http://[half", "http://1.1.1.1:0/"],
)  # fmt: skip
def test_an_address_inside_however_it_is_written_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        address_of(url)


def test_a_public_address_and_what_was_named_are_taken(settings: Any) -> None:
    assert address_of("https://1.1.1.1/hook?x=1")
    settings.HOOK_NETWORKS = ["10.1.0.0/16"]
    assert address_of("http://10.1.2.3:8080/hook")
    with pytest.raises(BadAddress):
        address_of("http://10.2.2.3:8080/hook")


def test_a_test_is_noted_and_the_log_shows_it(browser: Client, subscribe: Subscribe) -> None:
    one = subscribe()
    browser.post(f"{PATH}/{one.pk}/test")
    delivery = Delivery.objects.get()
    Delivery.objects.update(log=[{"at": "now", "status": 500, "problem": "answered <500>", "seconds": 0.1}])
    text = browser.get(f"{PATH}/{one.pk}").content.decode()
    assert str(delivery.pk) in text
    assert "answered &lt;500&gt;" in text


def test_it_is_paused_continued_and_deleted(browser: Client, subscribe: Subscribe) -> None:
    one = subscribe()
    browser.post(f"{PATH}/{one.pk}/pause")
    assert "Paused" in browser.get(PATH).content.decode()
    browser.post(f"{PATH}/{one.pk}/continue")
    one.refresh_from_db()
    assert one.active
    assert browser.post(f"{PATH}/{one.pk}/unknown").status_code == 404
    browser.post(f"{PATH}/{one.pk}/delete")
    assert not Subscription.objects.exists()


def test_whatever_is_done_with_one_leaves_who_what_and_from_where_and_no_address_of_a_receiver(
    browser: Client, staff: Any, receiver: Receiver
) -> None:
    browser.post(PATH, {**FIELDS, "target": f"{receiver.url}?token=a-secret-of-the-receiver"})
    one = Subscription.objects.get()
    for act in ("test", "secret", "pause", "pause", "continue", "delete"):
        browser.post(f"{PATH}/{one.pk}/{act}")
    acts = ("created", "tested", "secret_changed", "paused", "continued", "deleted")
    who = (f"user:{staff.username}", staff.pk, "127.0.0.1")
    assert list(
        AuditEntry.objects.order_by("pk").values_list("act", "subject", "actor", "user_id", "address")
    ) == [(f"subscription_{act}", "mine", *who) for act in acts]
    assert "a-secret-of-the-receiver" not in str(list(AuditEntry.objects.values()))


def test_what_the_admin_does_with_one_is_in_the_audit_trail_too(
    client: Client, subscribe: Subscribe, django_user_model: Any
) -> None:
    one = subscribe(name="of the admin", channel="webhook", target="https://1.1.1.1/")
    client.force_login(django_user_model.objects.create_superuser("root", password="a-long-enough-password"))
    changed = {**FIELDS, "target": "https://1.1.1.1/hook", "active": "on"}
    client.post(f"/admin/operations/subscription/{one.pk}/change/", changed)
    client.post(f"/admin/operations/subscription/{one.pk}/delete/", {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [subscribe(name="chosen").pk], "post": "yes"}
    client.post("/admin/operations/subscription/", chosen)
    found = AuditEntry.objects.order_by("pk").values_list("act", "subject", "actor")
    assert list(found) == [
        ("subscription_changed", "mine", "user:root"),
        ("subscription_deleted", "mine", "user:root"),
        ("subscription_deleted", "chosen", "user:root"),
    ]


def test_it_is_for_staff_alone(client: Client, person: Any, subscribe: Subscribe) -> None:
    one = subscribe()
    assert client.get(PATH).status_code == 302
    client.force_login(person)
    assert client.get(PATH).status_code == 403
    assert client.post(PATH, {**FIELDS, "target": "https://1.1.1.1/"}).status_code == 403
    assert client.get(f"{PATH}/{one.pk}").status_code == 403
    for act in ("test", "secret", "pause", "delete"):
        assert client.post(f"{PATH}/{one.pk}/{act}").status_code == 403
    assert Subscription.objects.get().active


def test_the_list_asks_as_often_for_many_as_for_one(
    browser: Client, subscribe: Subscribe, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        subscribe(name=str(number))
    with django_assert_max_num_queries(4):
        assert browser.get(PATH).status_code == 200


def test_the_admin_lists_and_changes_them_by_the_same_form(
    client: Client, subscribe: Subscribe, django_user_model: Any
) -> None:
    one = subscribe()
    client.force_login(django_user_model.objects.create_superuser("root", password="a-long-enough-password"))
    assert client.get("/admin/operations/subscription/").status_code == 200
    assert client.get("/admin/operations/delivery/").status_code == 200
    changed = {**FIELDS, "target": "http://169.254.169.254/", "active": "on"}
    answer = client.post(f"/admin/operations/subscription/{one.pk}/change/", changed)
    assert "never called" in answer.content.decode()


def test_what_others_changed_while_the_administration_checks_a_form_stays_changed(
    admin_client: Client, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the target waits for a name server."""
    made = subscribe()
    check, me = receivers.address_of, Actor("user:test")

    def change_before_it(url: str) -> str:
        subscriptions.change_secret(Subscription.objects.get(), me)
        subscriptions.set_active(Subscription.objects.get(), False, me)
        return check(url)

    monkeypatch.setattr(receivers, "address_of", change_before_it)
    fields = {**FIELDS, "name": "new", "target": made.target, "active": "on"}
    page = f"/admin/operations/subscription/{made.pk}/change/"
    assert admin_client.post(page, fields).status_code == 302
    row = Subscription.objects.get()
    assert row.name == "new"
    assert row.salt != made.salt, "the secret that somebody has just copied"
    assert not row.active
