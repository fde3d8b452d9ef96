"""The administration: the number of queries does not depend on the rows, and every link of a list works."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEntry
from access.roles import Role
from operations import artifacts
from operations.models import (
    Artifact,
    Attempt,
    Delivery,
    Event,
    MarketData,
    Operation,
    Quota,
    StoredFile,
    Subscription,
)
from registry.models import Capability, EnrolmentToken, Sweep, Worker, WorkerSecret
from strategies.models import SavedStrategy, StrategyVersion
from studies.models import Study, StudyBatch

pytestmark = pytest.mark.django_db
OURS = ("access", "operations", "registry", "strategies", "studies")
LISTS = [
    *sorted(model._meta.label_lower for model in admin.site._registry if model._meta.app_label in OURS),
    "django_q.schedule",
]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def browser(client: Client, staff: Any) -> Client:
    staff.is_superuser = True
    staff.save()
    client.force_login(staff)
    return client


@pytest.fixture
def file() -> StoredFile:
    return artifacts.put([b"bars"])


def add(number: int, by: Any, file: StoredFile) -> None:
    """Add one row of each model; those that belong to an operation belong to the first."""
    at = BEGAN + timedelta(days=number)
    add_operation(number, at, by, file)
    add_worker(number, at, by)
    add_study(number, by)
    add_subscription(number, at, by)
    Quota.objects.create(group=Group.objects.create(name=f"desk {number:02}"), weight=2)
    MarketData.objects.create(
        symbol=f"S{number}", timeframe="1d", file=file, rows=1, quality={}, start=at, end=at
    )
    AuditEntry.objects.create(act="worker_cordoned", subject=f"w-{number}", actor="user:test", user=by, at=at)
    apps.get_model("django_q", "schedule").objects.create(func=f"f{number}", next_run=timezone.now())


def add_operation(number: int, at: datetime, by: Any, file: StoredFile) -> None:
    Operation.objects.create(
        pk=f"operation-{number:02}",
        operation_type="training",
        status="COMPLETED",
        completed_at=at,
        created_by=by,
    )
    first = Operation.objects.get(pk="operation-00")
    Attempt.objects.create(
        operation=first,
        number=number + 1,
        worker_id=f"w-{number}",
        instance_id="i",
        endpoint_url="http://127.0.0.1:9",
        claimed_at=at,
        ended_at=at,
        outcome="completed",
    )
    Event.objects.create(operation=first, kind="status", to_status="COMPLETED", actor="test", user=by, at=at)
    Artifact.objects.create(operation=first, role="output", name=f"file-{number}", file=file)


def add_subscription(number: int, at: datetime, by: Any) -> None:
    subscription = Subscription.objects.create(
        name=f"s{number}", channel="email", target="a@b.example", created_by=by
    )
    Delivery.objects.create(
        subscription=subscription,
        kind="test",
        key=f"k{number}",
        payload={"data": {}},
        created_at=at,
        due_at=at,
    )


def add_worker(number: int, at: datetime, by: Any) -> None:
    worker = Worker.objects.create(
        worker_id=f"w-{number}",
        worker_type="training",
        endpoint_url="http://127.0.0.1:9",
        instance_id=f"i{number}",
    )
    worker.announced.add(
        Capability.objects.create(
            operation_type=f"t{number}", worker_type="training", start_path="/", parameters_schema={}
        )
    )
    Sweep.objects.create(kind="health", started_at=at, completed_at=at)
    WorkerSecret.objects.create(name=f"KEY_{number}", ciphertext="x", worker_types=["news"], changed_by=by)
    EnrolmentToken.objects.create(name=f"e{number}", sha256=f"{number:064}", created_by=by)


def add_study(number: int, by: Any) -> None:
    """Add a study with a batch, which is the operation of this number, and a strategy."""
    study = Study.objects.create(
        name=f"study {number}",
        kind="rules",
        spec={},
        spec_sha256=f"{number:064}",
        data=[],
        base_timeframe="1d",
        seed=1,
        window=2,
        planned=8,
        created_by=by,
    )
    strategy = SavedStrategy.objects.create(name=f"strategy_{number}", created_by=by)
    StrategyVersion.objects.create(strategy=strategy, number=1, text="name: x", created_by=by)
    StudyBatch.objects.create(study=study, first=0, last=7, operation_id=f"operation-{number:02}")


def queries(browser: Client, *addresses: str) -> list[int]:
    counts = []
    for address in addresses:
        with CaptureQueriesContext(connection) as captured:
            response = browser.get(address)
        assert response.status_code == 200, address
        counts.append(len(captured))
    return counts


def test_lists_and_pages_need_as_many_queries_for_thirty_rows_as_for_two(
    browser: Client, staff: Any, file: StoredFile
) -> None:
    for number in range(2):
        add(number, staff, file)
    addresses = [reverse(f"admin:{label.replace('.', '_')}_changelist") for label in LISTS] + [
        reverse(
            f"admin:{label.replace('.', '_')}_change",
            args=[apps.get_model(label).objects.order_by("pk")[0].pk],
        )
        for label in LISTS
    ]
    queries(browser, *addresses)  # fill the caches
    few = queries(browser, *addresses)
    for number in range(2, 30):
        add(number, staff, file)
    many = queries(browser, *addresses)
    assert dict(zip(addresses, many, strict=True)) == dict(zip(addresses, few, strict=True))
    assert max(many) <= 16


def test_every_filter_order_date_and_search_of_a_list_works(
    browser: Client, staff: Any, file: StoredFile
) -> None:
    for number in range(2):
        add(number, staff, file)
    for label in LISTS:
        address = reverse(f"admin:{label.replace('.', '_')}_changelist")
        page = browser.get(address).content.decode()
        links = {link.replace("&amp;", "&") for link in re.findall(r'href="(\?[^"]+)"', page)}
        by_name = {re.sub(r"=[^&]*", "", link): link for link in sorted(links)}
        assert by_name, label
        for link in [*by_name.values(), "?q=w-1"]:
            assert browser.get(address + link).status_code == 200, address + link


def test_the_administration_has_the_name_and_icon_of_the_product(browser: Client) -> None:
    page = browser.get("/admin/").content.decode().replace("\n  ", "")
    assert "<title>Administration | KTRDR</title>" in page
    assert '<link rel="icon" href="/static/icon' in page
    assert "Django administration" not in page


def test_the_staff_group_may_look_at_every_list(client: Client, django_user_model: Any) -> None:
    member = django_user_model.objects.create_user("member", is_staff=True)
    member.groups.add(Group.objects.get(name=Role.STAFF.group))
    client.force_login(member)
    for label in LISTS:
        address = reverse(f"admin:{label.replace('.', '_')}_changelist")
        assert client.get(address).status_code == 200, label


def test_rows_of_the_system_can_not_be_added_changed_or_deleted(
    browser: Client, staff: Any, file: StoredFile
) -> None:
    add(0, staff, file)
    for label in ("operations.operation", "operations.attempt", "operations.event", "registry.worker"):
        name = label.replace(".", "_")
        row = apps.get_model(label).objects.order_by("pk")[0]
        assert browser.get(reverse(f"admin:{name}_add")).status_code == 403
        assert (
            browser.post(reverse(f"admin:{name}_change", args=[row.pk]), {"status": "RUNNING"}).status_code
            == 403
        )
        assert (
            browser.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        )


@pytest.mark.parametrize(("act", "status"), [("cancel_chosen", "CANCELLED"), ("retry_chosen", "PENDING")])
def test_actions_on_selected_operations_are_those_of_the_api(
    browser: Client, staff: Any, act: str, status: str
) -> None:
    before = "PENDING" if act == "cancel_chosen" else "FAILED"
    ended = {} if before == "PENDING" else {"completed_at": BEGAN, "error_class": "job"}
    chosen = Operation.objects.create(operation_type="training", status=before, created_by=staff, **ended)
    done = Operation.objects.create(operation_type="training", status="COMPLETED", completed_at=BEGAN)
    response = browser.post(
        reverse("admin:operations_operation_changelist"),
        {"action": act, "_selected_action": [chosen.pk, done.pk]},
        follow=True,
    )
    chosen.refresh_from_db()
    assert chosen.status == status
    assert chosen.events.get(to_status=status).actor == f"user:{staff.username}"
    done.refresh_from_db()
    assert done.status == "COMPLETED"
    levels = {str(message).partition(":")[0]: message.level_tag for message in response.context["messages"]}
    assert levels == {chosen.pk: "success", done.pk: "warning"}
