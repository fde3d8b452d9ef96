"""API tokens and enrolment tokens: shown once, worth nothing once revoked, each person's own."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from access import audit
from access.models import AuditEntry
from access.roles import Role
from ktrdr_site.models import ApiToken
from operations.actors import Actor
from operations.models import Operation
from registry import enrolment, registration
from registry.models import EnrolmentToken, Worker, WorkerStatus
from tests.access.callers import bearer, member
from tests.claiming import start_next
from tests.factories import OperationFactory, WorkerFactory
from tests.registry.test_registration import MESSAGE
from worker_agent.protocol import Registration

pytestmark = pytest.mark.django_db
SOMEBODY = Actor("test")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def enrol(token: str, **changes: Any) -> Any:
    return bearer(token).post("/workers/register", {**MESSAGE, **changes}, content_type="application/json")


def test_a_token_made_in_the_page_is_shown_once_works_and_is_revoked_at_once() -> None:
    browser = signed_in(member("viewer"))
    made = browser.post("/dashboard/tokens/create", {"kind": "api", "name": "laptop"})
    token = made.context["new_token"]
    assert token in made.content.decode()
    assert made["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert token not in browser.get("/dashboard/tokens").content.decode()
    assert bearer(token).get("/operations").status_code == 200
    row = ApiToken.objects.get()
    assert row.last_used_at is not None
    assert browser.post(f"/dashboard/tokens/api/{row.pk}/revoke").status_code == 302
    assert bearer(token).get("/operations").status_code == 401
    acts = AuditEntry.objects.order_by("pk").values_list("act", "subject", "actor", "address")
    assert list(acts) == [
        ("api_token_created", "laptop of a-viewer", "user:a-viewer", "127.0.0.1"),
        ("api_token_revoked", "laptop of a-viewer", "user:a-viewer", "127.0.0.1"),
    ]


def test_the_answer_has_the_id_of_its_own_token_and_not_of_one_made_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = member("operator")
    record = audit.record

    def make_another(*arguments: Any) -> None:
        record(*arguments)
        ApiToken.issue(user, "of another program")

    monkeypatch.setattr(audit, "record", make_another)
    made = signed_in(user).post("/tokens", {"name": "mine"}, content_type="application/json").json()
    assert ApiToken.objects.get(pk=made["id"]).name == "mine"


def test_a_person_sees_and_revokes_only_their_own_tokens_and_staff_all() -> None:
    operator, staff = member("operator"), member("staff")
    ApiToken.issue(staff, "of staff")
    row = ApiToken.objects.get()
    assert signed_in(operator).get("/tokens").json()["results"] == []
    assert signed_in(operator).delete(f"/tokens/{row.pk}").status_code == 404
    ApiToken.issue(operator, "of the operator")
    other = ApiToken.objects.latest("pk")
    assert {one["user"] for one in signed_in(staff).get("/tokens").json()["results"]} == {
        "a-operator",
        "a-staff",
    }
    assert signed_in(staff).delete(f"/tokens/{other.pk}").status_code == 204


def test_an_api_token_makes_no_other_token() -> None:
    token = ApiToken.issue(member("staff"), "leaked")
    answer = bearer(token).post("/tokens", {"name": "heir"}, content_type="application/json")
    assert answer.status_code == 403
    assert "Sign in" in answer.json()["detail"]


def test_staff_make_an_enrolment_token_for_one_type_of_worker_and_it_enrols_no_other() -> None:
    browser = signed_in(member("staff"))
    form = {"kind": "enrolment", "name": "gpu room", "worker_types": "training"}
    token = browser.post("/dashboard/tokens/create", form).context["new_token"]
    assert enrol(token).status_code == 200
    refused = enrol(token, worker_type="backtesting", worker_id="cpu-1")
    assert refused.status_code == 403
    assert "gpu room is for training workers, not backtesting" in refused.json()["detail"]
    assert Worker.objects.get().enrolled_with == EnrolmentToken.objects.get()
    assert EnrolmentToken.objects.get().last_used_at is not None


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_staff_make_enrolment_tokens_and_the_page_says_why(role: str) -> None:
    browser = signed_in(member(role))
    assert (
        f"This requires the role staff; yours is {role}." in browser.get("/dashboard/tokens").content.decode()
    )
    refused = browser.post("/dashboard/tokens/create", {"kind": "enrolment", "name": "mine"})
    assert refused.status_code == 403
    assert not EnrolmentToken.objects.exists()


def test_a_revoked_enrolment_token_takes_its_workers_off_the_registry_and_their_work_goes_to_others() -> None:
    row, token = enrolment.issue("pool", [], SOMEBODY, operation_types=["training"])
    worker_token = enrol(token, worker_type="echo").json()["worker_token"]
    Worker.objects.update(status=WorkerStatus.AVAILABLE, unavailable_since=None)
    Worker.objects.get().announced.set(WorkerFactory(worker_id="aside").announced.all())
    Worker.objects.filter(pk="aside").delete()
    operation = OperationFactory()
    start_next(SOMEBODY)
    browser = signed_in(member("staff"))
    assert browser.delete(f"/enrolment-tokens/{row.pk}").status_code == 204
    assert enrol(token).status_code == 401
    assert not Worker.objects.exists()
    assert bearer(worker_token).post(f"/operations/{operation.pk}/report").status_code == 401
    operation = Operation.objects.get()
    assert operation.status == "PENDING"
    assert "the enrolment token pool was revoked" in operation.events.latest("pk").reason


def test_a_token_revoked_while_its_worker_is_being_entered_lets_it_not_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, _ = enrolment.issue("pool", [], SOMEBODY, operation_types=["training"])
    store = registration._store

    def revoked_first(*arguments: Any) -> Worker:
        # As another process would that looked for the token's workers a moment before this one was there.
        EnrolmentToken.objects.update(revoked_at="2020-01-01T00:00Z")
        return store(*arguments)

    monkeypatch.setattr(registration, "_store", revoked_first)
    with pytest.raises(enrolment.Revoked):
        registration.register(Registration.model_validate(MESSAGE), row)
    assert not Worker.objects.exists()


def test_only_hashes_are_kept() -> None:
    _, token = enrolment.issue("pool", [], SOMEBODY)
    assert token.removeprefix("kte_") not in str(EnrolmentToken.objects.values().get())
    assert token.removeprefix("kte_") not in str(list(AuditEntry.objects.values()))


def test_the_command_prints_a_token_that_enrols(capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    call_command("create_enrolment_token", "rack 2", "--worker-type", "training")
    assert enrol(capsys.readouterr().out.strip()).status_code == 200


def test_what_people_do_to_workers_is_in_the_audit_trail_and_on_its_page() -> None:
    WorkerFactory(worker_id="w-1")
    staff = member("staff")
    browser = signed_in(staff)
    browser.post("/dashboard/workers/w-1/cordon", {"reason": "new disk"}, REMOTE_ADDR="10.1.2.3")
    browser.post("/dashboard/workers/w-1/uncordon")
    browser.post("/dashboard/workers/w-1/remove")
    acts = AuditEntry.objects.order_by("pk").values_list("act", "actor", "address", "reason")
    assert list(acts) == [
        ("worker_cordoned", "user:a-staff", "10.1.2.3", "new disk"),
        ("worker_uncordoned", "user:a-staff", "127.0.0.1", ""),
        ("worker_removed", "user:a-staff", "127.0.0.1", ""),
    ]
    text = browser.get("/dashboard/workers/w-1").content.decode()
    assert "by user:a-staff from 10.1.2.3" in text


def test_who_cancelled_from_where_is_among_the_events_of_the_operation() -> None:
    operation = OperationFactory()
    browser = signed_in(member("operator"))
    browser.post(f"/dashboard/operations/{operation.pk}/act/cancel", REMOTE_ADDR="10.9.8.7")
    text = browser.get(f"/dashboard/operations/{operation.pk}?tab=events").content.decode()
    assert "by user:a-operator from 10.9.8.7" in text


def test_buttons_that_a_viewer_may_not_use_are_disabled_and_say_why(db: None) -> None:
    operation, worker = OperationFactory(), WorkerFactory()
    browser = signed_in(member("viewer"))
    for address in (f"operations/{operation.pk}", "operations", "new/training", f"workers/{worker.pk}"):
        text = browser.get(f"/dashboard/{address}").content.decode()
        assert 'disabled aria-describedby="why"' in text, address
        assert 'id="why">This requires the role' in text, address


def test_somebody_without_a_group_is_a_viewer() -> None:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("new"))
    assert client.get("/operations").status_code == 200
    assert client.post("/operations", {}).status_code == 403


def test_another_operators_operation_may_be_cancelled_and_retried(person: User) -> None:
    operation = OperationFactory(created_by=person)
    browser = signed_in(member("operator"))
    assert browser.delete(f"/operations/{operation.pk}/cancel").status_code == 202
    assert browser.post(f"/operations/{operation.pk}/retry").status_code == 202


READS = [("GET", "/operations", 200), ("GET", "/workers", 200), ("POST", "/strategies/validate", 422)]
SUBMITS = [
    ("POST", "/training/start", 422),
    ("POST", "/operations", 422),
    ("POST", "/operations/none/retry", 404),
]
MANAGES = [("POST", "/workers/none/cordon", 404), ("GET", "/enrolment-tokens", 200)]


@pytest.mark.parametrize("role", ["viewer", "operator", "staff"])
@pytest.mark.parametrize("scope", ApiToken.Scope)
def test_a_token_may_no_more_than_its_scope_and_no_more_than_its_user(
    role: str, scope: ApiToken.Scope
) -> None:
    user = member(role)
    client = bearer(ApiToken.issue(user, "t", scope))
    may = min(Role[role.upper()], scope.role)
    for required, requests in ((Role.VIEWER, READS), (Role.OPERATOR, SUBMITS), (Role.STAFF, MANAGES)):
        for method, path, allowed in requests:
            response = client.generic(method, path, b"{}", content_type="application/json")
            assert response.status_code == (allowed if may >= required else 403), (method, path)


def test_a_token_that_reads_revokes_no_token() -> None:
    user = member("staff")
    reading = bearer(ApiToken.issue(user, "reads", ApiToken.Scope.READ))
    other = ApiToken.objects.create(user=user, name="other", sha256="0" * 64)
    assert reading.delete(f"/tokens/{other.pk}").status_code == 403
    assert (
        bearer(ApiToken.issue(user, "submits", ApiToken.Scope.SUBMIT))
        .delete(f"/tokens/{other.pk}")
        .status_code
        == 204
    )


@pytest.mark.parametrize(("age_days", "status"), [(0, 200), (0.99, 200), (1.01, 401), (400, 401)])
def test_a_token_expires(age_days: float, status: int) -> None:
    client = bearer(ApiToken.issue(member("viewer"), "t", expires_in_days=1))
    ApiToken.objects.update(expires_at=F("expires_at") - timedelta(days=age_days))
    response = client.get("/operations")
    assert response.status_code == status
    if status == 401:
        assert "has expired" in response.json()["detail"]


def test_scope_and_expiry_are_chosen_in_the_page_and_shown() -> None:
    browser = signed_in(member("operator"))
    form = {"kind": "api", "name": "ci", "scope": "read", "expires_in_days": "30"}
    assert browser.post("/dashboard/tokens/create", form).status_code == 200
    row = ApiToken.objects.get()
    assert row.scope == "read"
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    (shown,) = browser.get("/tokens").json()["results"]
    assert shown["scope"] == "read"
    assert shown["expires_at"]
    assert str(row.expires_at.date()) in browser.get("/dashboard/tokens").content.decode()
    assert AuditEntry.objects.get().reason == "read"


@pytest.mark.parametrize(
    "field",
    [{"scope": "admin"}, {"scope": None}, {"scope": "READ"}, {"expires_in_days": 0}, {"expires_in_days": -1},
     {"expires_in_days": 3651}, {"expires_in_days": "soon"}, {"expires_in_days": 1e400}],
    ids=str,
)  # fmt: skip
def test_an_invalid_scope_or_expiry_creates_no_token(field: dict[str, Any]) -> None:
    body = {"name": "t", **field}
    response = signed_in(member("staff")).post("/tokens", body, content_type="application/json")
    assert response.status_code in (400, 422)
    assert not ApiToken.objects.exists()


def test_the_command_limits_scope_and_expiry(capsys: Any) -> None:
    user = member("operator")
    call_command("create_api_token", user.username, "--scope", "submit", "--days", "7")
    row = ApiToken.objects.get()
    assert row.scope == "submit"
    assert row.expires_at is not None
    for days in ("0", "-1", "4000", "nan"):
        with pytest.raises(CommandError, match="--days"):
            call_command("create_api_token", user.username, "--days", days)
