"""Workers announce themselves: again without harm, under their own name only, from addresses that we would call."""

from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from operations.announced_forms import announced_form
from operations.registry_adapter import RegistryAdapter
from registry import address_checks
from registry.api import workers as registry_api
from registry.auth import backend_token, worker_token
from registry.models import Capability, Worker, WorkerStatus
from tests.factories import WorkerFactory
from tests.registry.conftest import Neighbour, row

pytestmark = pytest.mark.django_db
MESSAGE: dict[str, Any] = {
    "worker_id": "gpu-1",
    "worker_type": "training",
    "endpoint_url": "http://127.0.0.1:5002",
    "instance_id": "first",
    "capabilities": {"gpu": True, "gpu_memory_gb": 24},
    "operation_types": [
        {
            "operation_type": "training",
            "start_path": "/training/start",
            "parameters_schema": {"type": "object"},
        }
    ],
}


@pytest.fixture
def enrol(settings: Any) -> APIClient:
    settings.WORKER_TOKEN = "the-enrolment-token"
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer the-enrolment-token")
    return client


def announce(**limits: Any) -> dict[str, Any]:
    return {"operation_types": [{**MESSAGE["operation_types"][0], **limits}]}


def register(client: APIClient, **changes: Any) -> Any:
    return client.post("/workers/register", {**MESSAGE, **changes}, format="json")


def test_a_registration_is_answered_with_tokens_of_this_incarnation(enrol: APIClient) -> None:
    answer = register(enrol)
    assert answer.status_code == 200
    assert answer.data["status"] == "TEMPORARILY_UNAVAILABLE", "nothing serves its address"
    assert answer.data["worker_token"] == worker_token("gpu-1", "first")
    assert answer.data["backend_token"] == backend_token("gpu-1", "first")
    assert row("gpu-1").capabilities == {"gpu": True, "gpu_memory_gb": 24}
    assert Capability.objects.get().operation_type == "training"


def test_the_same_again_changes_nothing_but_the_time(enrol: APIClient) -> None:
    first, second = register(enrol), register(enrol)
    assert first.data == second.data
    assert Worker.objects.count() == Capability.objects.count() == 1


def test_a_new_incarnation_takes_the_name_and_the_old_token_is_worth_nothing(enrol: APIClient) -> None:
    """lesson W13"""
    old = register(enrol).data["worker_token"]
    new = register(enrol, instance_id="second").data["worker_token"]
    leave = {"worker_id": "gpu-1", "instance_id": "second"}
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {old}")
    assert client.post("/workers/deregister", leave, format="json").status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {new}")
    assert client.post("/workers/deregister", leave, format="json").status_code == 200
    assert not Worker.objects.exists()


def test_a_worker_deregisters_itself_and_nobody_else(enrol: APIClient) -> None:
    token = register(enrol).data["worker_token"]
    WorkerFactory(worker_id="other", instance_id="its-own")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answer = client.post(
        "/workers/deregister", {"worker_id": "other", "instance_id": "its-own"}, format="json"
    )
    assert answer.status_code == 409
    assert Worker.objects.filter(pk="other").exists()


@pytest.mark.parametrize("token", [None, "", "wrong", "ktw_Z3B1LTE.x", "ktp_of-a-person", "é"])
def test_without_the_enrolment_token_nobody_enters(enrol: APIClient, token: str | None) -> None:
    client = APIClient()
    if token is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}".encode())
    answer = register(client)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert not Worker.objects.exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://8.8.8.8:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://[::ffff:8.8.8.8]:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://169.254.169.254", "never called"),
        ("http://user:secret@127.0.0.1:5003", "credentials"),
        ("http://127.0.0.1:5003/admin?x=1", "scheme, host and port"),
        ("ftp://127.0.0.1", "http://"),
        ("http://", "no host"),
        ("http://127.0.0.1:0", "port 0"),
        ("http://127.0.0.1:99999", "not a URL"),
        ("http://no-such-host.invalid", "Could not resolve the host"),
        ("http://[half", "not a URL"),
        ("file:///etc/passwd", "http://"),
        ("gopher://127.0.0.1:6379/_x", "http://"),
        ("https://127.0.0.1:5003", "no KTRDR_WORKER_CA"),
        ("http://127.0.0.1@8.8.8.8:5003", "credentials"),
        ("http://@127.0.0.1:5003", "credentials"),
        ("http://127.0.0.1:-1", "not a URL"),
        ("http://127.0.0.1:5003:80", "not a URL"),
        ("http://127.0.0.1:5003#@8.8.8.8", "scheme, host and port"),
        ("http://127.0.0.1\\@8.8.8.8", "backslashes"),
        ("http://0.0.0.0:5003", "never called"),
        ("http://[::]:5003", "never called"),
        ("http://134744072:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://0x08080808:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://[::8.8.8.8]:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://[64:ff9b::808:808]:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://[2002:808:808::1]:5003", "outside KTRDR_WORKER_NETWORKS"),
        ("http://[fe80::1]:5003", "never called"),
        ("http://[::ffff:169.254.169.254]", "never called"),
    ],
)
def test_an_address_that_we_would_not_call_is_refused(enrol: APIClient, url: str, says: str) -> None:
    answer = register(enrol, endpoint_url=url)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/endpoint_url"
    assert says in answer.json()["errors"][0]["detail"]
    assert "secret" not in answer.content.decode()


def test_a_name_of_which_one_address_is_public_is_refused(
    enrol: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolved(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (address, 0)) for address in ("10.0.0.5", "8.8.8.8")]

    monkeypatch.setattr("socket.getaddrinfo", resolved)
    answer = register(enrol, endpoint_url="http://worker.internal:5003")
    assert answer.status_code == 422
    assert "worker.internal resolves to 8.8.8.8" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"worker_id": ""}, "/worker_id"),
        ({"worker_id": "a b"}, "/worker_id"),
        ({"worker_id": "a\x00b"}, "/worker_id"),
        ({"worker_id": "x" * 500}, "/worker_id"),
        ({"instance_id": None}, "/instance_id"),
        ({"capabilities": []}, "/capabilities"),
        ({"operation_types": [{"operation_type": "x", "start_path": "//evil", "parameters_schema": {}}]},
         "/operation_types/0/start_path"),
        ({"protocol_version": 0}, "/protocol_version"),
    ],
)  # fmt: skip
def test_a_message_that_makes_no_sense_is_told_where(
    enrol: APIClient, changes: dict[str, Any], pointer: str
) -> None:
    answer = register(enrol, **changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_newer_agent_is_spoken_to_in_our_version(enrol: APIClient) -> None:
    assert register(enrol, protocol_version=7, something_new={"a": 1}).data["protocol_version"] == 2


def test_of_two_live_agents_with_one_name_the_first_keeps_it(enrol: APIClient, neighbour: Neighbour) -> None:
    """lesson W19"""
    stub = neighbour("gpu-1")
    answer = register(enrol)
    assert answer.status_code == 409
    assert stub.url in answer.json()["detail"]
    assert row("gpu-1").instance_id == stub.instance_id


def test_the_name_of_a_dead_agent_is_free(enrol: APIClient) -> None:
    WorkerFactory(worker_id="gpu-1", endpoint_url="http://127.0.0.1:2", instance_id="dead")
    assert register(enrol).status_code == 200
    assert row("gpu-1").instance_id == "first"


def test_a_worker_that_fails_its_health_check_while_it_registers_stays_unavailable(
    enrol: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_checks, "find_problem", lambda *_: "")
    reconcile = RegistryAdapter.reconcile_registration

    def fail_after_it(self: RegistryAdapter, *arguments: Any) -> Any:
        result = reconcile(self, *arguments)
        failed = {"status": WorkerStatus.TEMPORARILY_UNAVAILABLE, "unavailable_since": Now()}
        Worker.objects.update(**failed)
        return result

    monkeypatch.setattr(RegistryAdapter, "reconcile_registration", fail_after_it)
    assert register(enrol).status_code == 200
    assert row("gpu-1").status == "TEMPORARILY_UNAVAILABLE"


def test_when_many_register_at_once_the_others_are_told_to_come_again(enrol: APIClient) -> None:
    """lesson W17"""
    taken = 0
    while registry_api.CONCURRENT_REGISTRATIONS.acquire(blocking=False):
        taken += 1
    try:
        answer = register(enrol)
    finally:
        for _ in range(taken):
            registry_api.CONCURRENT_REGISTRATIONS.release()
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    assert register(enrol).status_code == 200


def test_the_form_of_a_type_has_the_parameters_in_the_order_of_their_declaration(enrol: APIClient) -> None:
    names = ["window", "zeta", "b", "symbol", "an_id"]
    schema = {"properties": {name: {"type": "integer"} for name in names}, "required": ["symbol", "zeta"]}
    kind = {**MESSAGE["operation_types"][0], "parameters_schema": schema}
    register(enrol, operation_types=[kind])
    form = announced_form(kind["operation_type"])
    assert form is not None
    assert [field.name.removeprefix("parameters.") for field in form.main] == names
    announced_at = Capability.objects.get().announced_at
    register(enrol, operation_types=[kind])
    assert Capability.objects.get().announced_at == announced_at, "an unchanged schema was written again"


def test_a_capability_follows_its_newest_announcement_and_outlives_its_worker(enrol: APIClient) -> None:
    register(enrol)
    kind = {**MESSAGE["operation_types"][0], "parameters_schema": {"type": "object", "required": ["x"]}}
    register(enrol, operation_types=[kind])
    Worker.objects.all().delete()
    assert Capability.objects.get().parameters_schema["required"] == ["x"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"capabilities": {f"c{i}": 1 for i in range(101)}}, "/capabilities"),
        ({"capabilities": {"a": "x" * 20_000}}, "/capabilities"),
        ({"operation_types": [MESSAGE["operation_types"][0]] * 51}, "/operation_types"),
        ({"operation_types": [{**MESSAGE["operation_types"][0], "parameters_schema": {"$ref": "http://x/"}}]},
         "/operation_types"),
        ({"operation_types": [
            {"operation_type": f"t{i}", "start_path": "/t", "parameters_schema": {"default": "x" * 60_000}}
            for i in range(5)]},
         "/operation_types"),
    ],
    ids=["many capabilities", "long capabilities", "many types", "remote reference", "long schemas"],
)  # fmt: skip
def test_a_registration_beyond_the_bounds_is_refused(
    enrol: APIClient, changes: dict[str, Any], pointer: str
) -> None:
    answer = register(enrol, **changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not Worker.objects.exists()


def test_the_limits_of_the_newest_registration_count(enrol: APIClient) -> None:
    limits = {"timeout_s": 600, "max_attempts": 2, "max_running": 3}
    for each in (limits, {**limits, "timeout_s": 60}, {}):
        assert register(enrol, **announce(**each)).status_code == 200
        stored = Capability.objects.values("timeout_s", "max_attempts", "max_running").get()
        assert stored == {**dict.fromkeys(limits), **each}


@pytest.mark.parametrize("name", ["timeout_s", "max_attempts", "max_running"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "many", 10**12])
def test_a_limit_without_sense_is_refused(enrol: APIClient, name: str, value: Any) -> None:
    refused = register(enrol, **announce(**{name: value}))
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/operation_types/0/{name}"]
