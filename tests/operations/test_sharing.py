"""Links to one result for people without an account."""

import hashlib
import logging
import re
import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from access.actors import Actor
from access.models import AuditEntry
from ktrdr_site.observability.logs import formatter
from operations import sharing
from operations.models import Operation, SharedLink
from tests.browser.population import populate

BY = Actor("user:sharer")


@pytest.fixture
def ids(staff: Any, client: Client) -> dict[str, str]:
    client.force_login(staff)
    return populate(staff)


def create_link(client: Client, operation_id: str, days: str = "7") -> str:
    """Return the path of a new link, as the page shows it once."""
    page = client.post(f"/dashboard/operations/{operation_id}/share", {"days": days}).content.decode()
    found = re.search(r"http://testserver(/shared/[\w-]+)", page)
    assert found, page[:500]
    return found[1]


def assert_private(answer: Any) -> None:
    """Nothing keeps, indexes or passes on the page, and it opens no session."""
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies


@pytest.mark.parametrize("role", ["trained", "backtested", "backtested_again", "imported"])
def test_anybody_reads_exactly_the_shared_result(client: Client, ids: dict[str, str], role: str) -> None:
    row = Operation.objects.get(pk=ids[role])
    row.title, row.note, row.error_traceback = "secret title", "secret note", "secret traceback"
    row.save(update_fields=["title", "note", "error_traceback"])
    address = create_link(client, row.pk)
    answer = Client().get(address)
    assert answer.status_code == 200
    page = answer.content.decode()
    assert ("Verdict" if role != "imported" else "<h2>Result</h2>") in page
    assert_private(answer)
    for secret in (
        "secret",
        row.worker_id,
        str(row.created_by),
        "/dashboard",
        "/operations/",
        "/docs/",
        "csrf",
        "CSRF",
        "<form",
    ):
        assert secret not in page, secret
    others = Operation.objects.exclude(pk=row.pk).values_list("pk", flat=True)
    assert not [other for other in others if other in page]


def test_the_token_is_stored_as_a_hash_and_shown_once(client: Client, ids: dict[str, str]) -> None:
    address = create_link(client, ids["backtested"])
    token = address.rpartition("/")[2]
    link = SharedLink.objects.get()
    assert link.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert len(token) >= 43
    shown = client.get(f"/dashboard/operations/{ids['backtested']}").content.decode()
    assert f"Link {link.pk}, by" in shown
    assert token not in shown


def test_a_revoked_link_no_longer_works_and_both_acts_are_in_the_audit_trail(
    client: Client, ids: dict[str, str]
) -> None:
    operation_id = ids["backtested"]
    address, other = create_link(client, operation_id), create_link(client, operation_id)
    link = SharedLink.objects.order_by("pk")[0]
    revoke = f"/dashboard/operations/{operation_id}/share/{link.pk}/revoke"
    assert client.post(f"/dashboard/operations/{ids['trained']}/share/{link.pk}/revoke").status_code == 302
    assert Client().get(address).status_code == 200, "a link of another operation is not revoked"
    client.post(revoke)
    assert Client().get(address).status_code == 404
    assert Client().get(other).status_code == 200
    client.post(revoke)
    acts = AuditEntry.objects.filter(act__startswith="result_").order_by("pk").values_list("act", flat=True)
    assert list(acts) == ["result_shared", "result_shared", "result_unshared"]


@pytest.mark.parametrize(
    "change", ["expired", "deleted", "creator deactivated", "creator deleted", "unknown"]
)
def test_a_link_that_no_longer_counts_is_not_found(
    client: Client, ids: dict[str, str], staff: User, change: str
) -> None:
    address = create_link(client, ids["backtested"])
    match change:
        case "expired":
            SharedLink.objects.update(expires_at=Now() - timedelta(seconds=1))
        case "deleted":
            Operation.objects.filter(pk=ids["backtested"]).update(deleted_at=Now())
        case "creator deactivated":
            User.objects.filter(pk=staff.pk).update(is_active=False)
        case "creator deleted":
            SharedLink.objects.update(created_by=None)
        case _:
            address = "/shared/" + "x" * 43
    answer = Client().get(address)
    assert answer.status_code == 404
    assert_private(answer)
    page = answer.content.decode()
    assert "Link no longer valid" in page
    assert "GOOG" not in page
    assert "/dashboard" not in page


def test_somebody_who_is_signed_in_sees_the_same_page(client: Client, ids: dict[str, str]) -> None:
    """No message or notice of the own session, which a person could take for a part of the result."""
    address = create_link(client, ids["backtested"])
    client.post(f"/dashboard/operations/{ids['backtested']}/share", {"days": "0"})
    assert client.get(address).content == Client().get(address).content
    assert "expires after 1 to 365" in client.get("/dashboard/").content.decode(), "the message is not lost"


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_log_shows_no_token(form: str) -> None:
    token = secrets.token_urlsafe(sharing.TOKEN_BYTES)
    record = logging.LogRecord(
        "django.request", logging.ERROR, "f", 1, "Internal error: %s", (f"/shared/{token}",), None
    )
    record.request = f"GET /shared/{token}"
    line = formatter(form).format(record)
    assert "/shared/..." in line
    assert token not in line


@pytest.mark.parametrize("days", ["0", "366", "-1", "", "1e3", "7.5", "99999999999999999999"])
def test_a_link_has_an_expiry_within_a_year(client: Client, ids: dict[str, str], days: str) -> None:
    client.post(f"/dashboard/operations/{ids['backtested']}/share", {"days": days})
    assert not SharedLink.objects.exists()


@pytest.mark.parametrize("role", ["running", "failed", "waiting", "cancelled"])
def test_only_a_completed_result_is_shared(ids: dict[str, str], role: str) -> None:
    with pytest.raises(sharing.NotShareable):
        sharing.share(Operation.objects.get(pk=ids[role]), 7, BY)
