"""Stored secrets: encrypted at rest, granted per worker type, read by the job's own worker only, shown nowhere."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.doctor import secret_files
from operations import interruptions
from operations.dispatching.claims import Claim
from operations.models import Attempt
from registry import encryption, worker_secrets
from registry.auth import worker_token
from registry.models import WorkerSecret
from tests.access.callers import member
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("test")
VALUE = "the-key-of-the-provider"
FORMER, CURRENT = "former-key-" + "abcdefghij" * 4, "current-key-" + "klmnopqrst" * 4


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(member("staff"))
    return client


@pytest.fixture
def claim() -> Claim:
    WorkerFactory(worker_id="w1", instance_id="one", worker_type="echo", protocol_version=2)
    OperationFactory()
    return start_next(ME)


def put(client: Client, name: str, **content: Any) -> Any:
    return client.put(f"/secrets/{name}", content, content_type="application/json")


def ask(claim: Claim, names: list[str], *, worker: str = "w1", instance: str = "one", **changes: Any) -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {worker_token(worker, instance)}")
    message = {
        "attempt": 1,
        "attempt_secret": claim.request.attempt_secret,
        "instance_id": instance,
        "names": names,
        **changes,
    }
    return client.post(f"/operations/{claim.operation_id}/secrets", message, format="json")


def test_a_value_is_stored_encrypted_and_no_response_contains_it(staff: Client) -> None:
    created = put(staff, "API_KEY", value=VALUE, worker_types=["news", "news", "echo"])
    assert created.status_code == 201
    assert created.json()["worker_types"] == ["echo", "news"]
    changed = put(staff, "API_KEY", worker_types=["echo"])
    assert changed.status_code == 200
    listed = staff.get("/secrets")
    assert [(row["name"], row["worker_types"]) for row in listed.json()["results"]] == [("API_KEY", ["echo"])]
    page = staff.get("/dashboard/secrets?name=API_KEY")
    admin = staff.get("/admin/registry/workersecret/API_KEY/change/")
    audit = staff.get("/admin/access/auditentry/")
    for response in (created, changed, listed, page, admin, audit):
        assert response.status_code in (200, 201)
        assert VALUE not in response.content.decode()
    ciphertext = WorkerSecret.objects.values_list("ciphertext", flat=True).get()
    assert VALUE not in str(list(WorkerSecret.objects.values()))
    assert encryption.decrypt(ciphertext) == VALUE


def test_each_act_of_a_person_is_audited_without_the_value(staff: Client) -> None:
    put(staff, "API_KEY", value=VALUE, worker_types=["echo"])
    put(staff, "API_KEY", worker_types=[])
    put(staff, "API_KEY", value="another-value")
    assert staff.delete("/secrets/API_KEY").status_code == 204
    assert staff.delete("/secrets/API_KEY").status_code == 404
    entries = AuditEntry.objects.order_by("pk").values_list("act", "subject", "actor", "reason")
    assert list(entries) == [
        ("secret_created", "API_KEY", "user:a-staff", "new value, for echo workers"),
        ("secret_changed", "API_KEY", "user:a-staff", "same value, for no worker type"),
        ("secret_changed", "API_KEY", "user:a-staff", "new value, for no worker type"),
        ("secret_deleted", "API_KEY", "user:a-staff", ""),
    ]


@pytest.mark.parametrize(
    ("name", "content", "pointer"),
    [
        ("API_KEY", {"value": "short-1"}, "/value"),
        ("API_KEY", {"value": "long-sec" * 1001}, "/value"),
        ("API_KEY", {"value": ["in-a-list"]}, "/value"),
        ("API_KEY", {"value": "nul-\x00-character"}, "/value"),
        ("API_KEY", {"value": VALUE, "worker_types": ["a b"]}, "/worker_types/0"),
        ("API_KEY", {"worker_types": ["echo"]}, "/value"),
        ("1KEY", {"value": VALUE}, "/name"),
        ("API KEY", {"value": VALUE}, "/name"),
        ("x" * 101, {"value": VALUE}, "/name"),
    ],
)
def test_an_invalid_secret_is_refused_without_quoting_its_value(
    staff: Client, name: str, content: dict[str, Any], pointer: str
) -> None:
    refused = put(staff, name, **content)
    assert refused.status_code == 422, refused.content
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    for part in ("short-1", "long-sec", "in-a-list", "nul-", VALUE):
        assert part not in refused.content.decode()
    assert not WorkerSecret.objects.exists()


def test_the_worker_of_the_attempt_gets_the_granted_secrets(claim: Claim) -> None:
    worker_secrets.save("API_KEY", VALUE, ["echo", "news"], ME)
    worker_secrets.save("CERTIFICATE", "line 1\nline 2\n", ["echo"], ME)
    response = ask(claim, ["CERTIFICATE", "API_KEY"])
    assert response.status_code == 200
    assert response.json() == {"secrets": {"CERTIFICATE": "line 1\nline 2\n", "API_KEY": VALUE}}
    assert response["Cache-Control"] == "no-store"
    assert WorkerSecret.objects.filter(last_read_at__isnull=False).count() == 2


def test_a_secret_of_another_type_and_one_that_does_not_exist_get_the_same_response(claim: Claim) -> None:
    worker_secrets.save("OTHER", VALUE, ["news"], ME)
    worker_secrets.save("NOBODYS", VALUE, [], ME)
    details = set()
    for name in ("OTHER", "NOBODYS", "MISSING"):
        refused = ask(claim, [name])
        assert refused.status_code == 422
        details.add(refused.json()["detail"].replace(name, "NAME"))
    (detail,) = details
    assert detail.startswith("No secret NAME is granted to workers of type echo. Staff store")
    assert detail.endswith("manage.py set_secret NAME --worker-type echo.")
    assert not WorkerSecret.objects.filter(last_read_at__isnull=False).exists()


def test_nobody_else_gets_them(claim: Claim, staff: Client) -> None:
    worker_secrets.save("API_KEY", VALUE, ["echo"], ME)
    WorkerFactory(worker_id="w2", instance_id="two", worker_type="echo", protocol_version=2)
    attempts_of_others = [
        ask(claim, ["API_KEY"], worker="w2", instance="two"),
        ask(claim, ["API_KEY"], instance_id="two"),
        ask(claim, ["API_KEY"], attempt=2),
        *(
            ask(claim, ["API_KEY"], attempt_secret=guess)
            for guess in ("", "x", claim.request.attempt_secret[:-1])
        ),
    ]
    assert [response.status_code for response in attempts_of_others] == [409] * 6
    assert ask(claim, ["API_KEY"], instance="older").status_code == 401
    assert staff.post(f"/operations/{claim.operation_id}/secrets", {}).status_code in (401, 403)
    assert ask(claim, ["API_KEY"]).status_code == 200
    interruptions.mark_lost(claim.operation_id, 1, ME, "gone")
    assert ask(claim, ["API_KEY"]).status_code == 409, "the attempt has ended"


def test_a_worker_of_protocol_1_which_proves_nothing_gets_none(claim: Claim) -> None:
    worker_secrets.save("API_KEY", VALUE, ["echo"], ME)
    Attempt.objects.update(must_prove=False)
    assert ask(claim, ["API_KEY"], attempt_secret="").status_code == 409


def test_a_new_secret_key_reads_what_its_fallbacks_encrypted_until_they_are_removed(
    claim: Claim, settings: Any, staff: Client
) -> None:
    settings.SECRET_KEY = FORMER
    worker_secrets.save("API_KEY", VALUE, ["echo"], ME)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = CURRENT, [FORMER]
    assert worker_secrets.read("echo", ["API_KEY"]) == {"API_KEY": VALUE}
    assert list(secret_files.stored()) == []
    call_command("encrypt_secrets", stdout=io.StringIO())
    settings.SECRET_KEY_FALLBACKS = []
    assert worker_secrets.read("echo", ["API_KEY"]) == {"API_KEY": VALUE}


def test_with_another_secret_key_it_is_unreadable_and_everybody_learns_why(
    claim: Claim, settings: Any
) -> None:
    worker_secrets.save("API_KEY", VALUE, ["echo"], ME)
    settings.SECRET_KEY = CURRENT
    (finding,) = secret_files.stored()
    assert "API_KEY" in finding.problem
    with pytest.raises(encryption.Unreadable, match="Enter it again"):
        worker_secrets.read("echo", ["API_KEY"])
    with pytest.raises(CommandError, match="API_KEY"):
        call_command("encrypt_secrets", stdout=io.StringIO())
    out = io.StringIO()
    call_command("list_secrets", "--json", stdout=out)
    assert [(row["name"], row["is_readable"]) for row in json.loads(out.getvalue())] == [("API_KEY", False)]
    worker_secrets.save("API_KEY", VALUE, None, ME)
    assert worker_secrets.read("echo", ["API_KEY"]) == {"API_KEY": VALUE}


def test_the_commands_store_list_and_delete(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(VALUE + "\n")
    out = io.StringIO()
    call_command(
        "set_secret", "API_KEY", "--file", str(tmp_path / "key"), "--worker-type", "echo", stdout=out
    )
    call_command("set_secret", "API_KEY", "--keep-value", "--worker-type", "news", stdout=out)
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input\n"))
    call_command("set_secret", "OTHER", "--file", "-", "--json", stdout=out)
    call_command("list_secrets", stdout=out)
    assert worker_secrets.read("news", ["API_KEY"]) == {"API_KEY": VALUE}
    call_command("delete_secret", "OTHER", stdout=out)
    with pytest.raises(CommandError, match="The secret OTHER does not exist"):
        call_command("delete_secret", "OTHER", stdout=out)
    with pytest.raises(CommandError, match=r"The secret NEW does not exist\. Omit --keep-value"):
        call_command("set_secret", "NEW", "--keep-value", stdout=out)
    (tmp_path / "key").write_text("shorty")
    with pytest.raises(CommandError) as refused:
        call_command("set_secret", "API_KEY", "--file", str(tmp_path / "key"), stdout=out)
    assert "shorty" not in str(refused.value)
    assert VALUE not in out.getvalue()


def test_staff_store_change_and_delete_on_the_page_and_others_are_refused(staff: Client) -> None:
    form = {"name": "API_KEY", "worker_types": "echo, news", "value": "line 1 of it\r\nline 2"}
    assert staff.post("/dashboard/secrets/save", form).status_code == 302
    assert worker_secrets.read("news", ["API_KEY"]) == {"API_KEY": "line 1 of it\nline 2"}
    shown = staff.get("/dashboard/secrets?name=API_KEY").content.decode()
    assert 'value="echo news"' in shown
    assert (
        staff.post("/dashboard/secrets/save", {**form, "worker_types": "echo", "value": ""}).status_code
        == 302
    )
    assert worker_secrets.read("echo", ["API_KEY"]) == {"API_KEY": "line 1 of it\nline 2"}
    refused = staff.post(
        "/dashboard/secrets/save", {"name": "a b", "worker_types": "x", "value": "not-shown-again"}
    )
    assert refused.status_code == 422
    assert "not-shown-again" not in refused.content.decode()
    assert 'value="a b"' in refused.content.decode()
    operator = Client()
    operator.force_login(member("operator"))
    assert operator.get("/dashboard/secrets").status_code == 403
    assert operator.post("/dashboard/secrets/save", form).status_code == 403
    assert operator.post("/dashboard/secrets/API_KEY/delete").status_code == 403
    assert "/dashboard/secrets" not in operator.get("/dashboard/tokens").content.decode()
    assert staff.post("/dashboard/secrets/API_KEY/delete").status_code == 302
    assert not WorkerSecret.objects.exists()
