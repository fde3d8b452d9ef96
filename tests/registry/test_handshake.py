"""Agents that lie to a backend, and foreign programs at an agent's address: nothing is learned, taken or shown."""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from django.core.management import call_command
from rest_framework.test import APIClient

from access.actors import Actor
from operations.models import Operation
from registry import auth, enrolment, health, name_claims
from registry.auth import proof_key, worker_token
from registry.endpoint import Endpoint
from registry.models import OperationTypeOwner, Worker
from registry.worker_client import WorkerClient
from registry.worker_errors import WorkerError, WorkerUnproven
from tests.factories import WorkerFactory
from tests.registry.conftest import Neighbour, row
from worker_agent import proof
from worker_agent.base import WorkerAPIBase
from worker_agent.testing import StubWorker
from workers.backtest import BacktestWorker
from workers.training import TrainingWorker

pytestmark = pytest.mark.django_db
BY = Actor("test")
SECRET_OF_ANOTHER_SERVICE = "root:x:0:0:another service's secret"


def client_with(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def default_pool(settings: Any) -> APIClient:
    settings.WORKER_TOKEN = "the-enrolment-token"
    return client_with("the-enrolment-token")


def pool(name: str, *worker_types: str, **fields: Any) -> APIClient:
    return client_with(enrolment.issue(name, worker_types, BY, **fields)[1])


def message_of(stub: StubWorker, **changes: Any) -> dict[str, Any]:
    return {
        "worker_id": stub.worker_id,
        "worker_type": "stub",
        "endpoint_url": stub.url,
        "instance_id": stub.instance_id,
        "proof_key": stub.proof_key,
        "operation_types": [
            {"operation_type": "noop", "start_path": "/noop/start", "parameters_schema": {"type": "object"}}
        ],
        **changes,
    }


def register(client: APIClient, message: dict[str, Any]) -> Any:
    return client.post("/workers/register", message, format="json")


def announcing(*operation_types: str) -> list[dict[str, Any]]:
    return [
        {"operation_type": one, "start_path": "/x/start", "parameters_schema": {}} for one in operation_types
    ]


@pytest.fixture
def newcomer(neighbour: Neighbour) -> StubWorker:
    """An agent that serves and is not registered."""
    stub = neighbour("newcomer")
    Worker.objects.all().delete()
    stub.backend_token = ""
    stub.proof_key = proof.create_key()
    return stub


# Addresses -------------------------------------------------------------------------------------------------


def test_a_worker_that_proves_its_address_is_available_with_its_registration(
    default_pool: APIClient, newcomer: StubWorker
) -> None:
    answer = register(default_pool, message_of(newcomer))
    assert (answer.data["status"], answer.data["warning"]) == ("AVAILABLE", "")
    assert answer.data["proof_key"] == proof_key("newcomer", newcomer.instance_id)
    assert newcomer.count("health") == 1


FOREIGN = [
    SECRET_OF_ANOTHER_SERVICE,
    '{"status": "idle", "worker_id": "newcomer", "instance_id": "%s", "note": "secret"}',
    '{"detail": "secret"}',
    '{"status": "idle", "secret": {"secret": NaN}}',
]


@pytest.mark.parametrize("status", [200, 301, 400, 404, 409, 422, 500, 503])
@pytest.mark.parametrize("body", FOREIGN)
def test_a_foreign_service_at_the_address_gets_no_work_and_nobody_reads_its_answer(
    default_pool: APIClient, newcomer: StubWorker, caplog: pytest.LogCaptureFixture, body: str, status: int
) -> None:
    """Not even if it knows the worker's name and incarnation, which everybody may read."""
    newcomer.proves = False
    text = body.replace("%s", newcomer.instance_id)

    async def answer(_: web.Request, __: Any) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type="application/json")

    newcomer.instead["health"].extend([answer] * 3)
    registered = register(default_pool, message_of(newcomer))
    assert registered.data["status"] == "TEMPORARILY_UNAVAILABLE"
    assert "does not prove to be this worker" in registered.data["warning"]
    health.sweep()
    worker = row("newcomer")
    assert worker.status == "TEMPORARILY_UNAVAILABLE"
    assert "secret" not in worker.health_problem + caplog.text + registered.content.decode()
    assert newcomer.count("start") == newcomer.count("drain") == 0


class AcceptedWithoutProof(Exception):
    pass


async def message_of_error(call: Awaitable[object]) -> str:
    try:
        await call
    except WorkerError as error:
        return str(error)
    raise AcceptedWithoutProof


@pytest.mark.parametrize(
    "call",
    [
        lambda client, worker: client.health(worker),
        lambda client, worker: client.operation(worker, "op"),
        lambda client, worker: client.metrics(worker, "op", 0),
        lambda client, worker: client.logs(worker, "op", 0),
        lambda client, worker: client.cancel(worker, "op", 1, "why"),
        lambda client, worker: client.prometheus_metrics(worker),
        lambda client, worker: client.drain(worker),
    ],
    ids=["health", "operation", "metrics", "logs", "cancel", "prometheus", "drain"],
)
@pytest.mark.parametrize("must_prove", [True, False])
@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500, 503])
async def test_no_error_of_any_call_contains_a_byte_of_an_unproven_response(
    call: Any, must_prove: bool, status: int
) -> None:
    stub = StubWorker("w", "http://127.0.0.1:1", "enrolment")
    stub.proves = False

    async def answer(_: web.Request, __: Any) -> web.StreamResponse:
        return web.Response(status=status, text='{"secret": "secret"}', content_type="application/json")

    for name in ("health", "operation", "metrics", "logs", "cancel", "prometheus_metrics", "drain"):
        stub.instead[name].append(answer)
    async with stub, WorkerClient() as client:
        endpoint = Endpoint("w", stub.instance_id, stub.url, must_prove)
        message = ""
        with suppress(AcceptedWithoutProof):
            message = await message_of_error(call(client, endpoint))
        assert "secret" not in message
        assert message or not must_prove, "only a cancel or drain of protocol 1 succeeds without a proof"


async def test_a_response_that_is_not_http_is_not_quoted() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-secret\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, WorkerClient() as client:
        with pytest.raises(WorkerError) as raised:
            await client.health(Endpoint("w", "i", f"http://127.0.0.1:{port}", must_prove=True))
    assert "secret" not in str(raised.value)


async def test_a_proof_is_good_for_one_nonce_one_incarnation_and_one_key() -> None:
    """Recorded proofs, of the same process or of others, prove nothing."""
    stub = StubWorker("w", "http://127.0.0.1:1", "enrolment")
    stub.proof_key = proof_key("w", stub.instance_id)
    recorded: list[str] = []

    async def record(request: web.Request, handle: Any) -> web.StreamResponse:
        nonce = request.headers[proof.NONCE_HEADER]
        recorded.append(proof.prove(stub.proof_key, nonce, "w", stub.instance_id))
        return await handle()

    def replay(given: str) -> Any:
        async def answer(_: web.Request, handle: Any) -> web.StreamResponse:
            response = await handle()
            response.headers[proof.PROOF_HEADER] = given
            return response

        return answer

    stub.instead["health"].append(record)
    async with stub, WorkerClient() as client:
        endpoint = Endpoint("w", stub.instance_id, stub.url, must_prove=True)
        await client.health(endpoint)
        stub.proves = False
        nonce = proof.create_nonce()
        for given in (recorded[0], proof.prove("", nonce, "w", stub.instance_id), "", "x" * 64, "é"):
            stub.instead["health"].append(replay(given))
            with pytest.raises(WorkerUnproven):
                await client.health(endpoint)


def test_every_part_of_a_proof_counts() -> None:
    parts = ("key", "nonce", "worker", "instance")
    valid = proof.prove(*parts)
    for position, other in itertools.product(range(4), ("", "other", "nonce\n", "é")):
        changed = [*parts]
        changed[position] = other
        assert not proof.is_valid(valid, *changed)
    assert proof.is_valid(valid, *parts)


def test_a_worker_of_protocol_1_is_verified_by_the_next_health_check(
    default_pool: APIClient, newcomer: StubWorker
) -> None:
    """It cannot answer a challenge; it answers with its name and incarnation only to the holder of its token."""
    newcomer.proves = False
    answer = register(default_pool, message_of(newcomer, protocol_version=1, proof_key=""))
    assert answer.data["status"] == "TEMPORARILY_UNAVAILABLE"
    health.sweep()
    assert row("newcomer").status == "AVAILABLE"


def test_an_unreachable_worker_is_not_called_again_by_its_repeated_registrations(
    default_pool: APIClient, newcomer: StubWorker
) -> None:
    newcomer.proves = False
    message = message_of(newcomer)
    token = register(default_pool, message).data["worker_token"]
    since = row("newcomer").unavailable_since
    calls = newcomer.count("health")
    for _ in range(3):
        again = register(default_pool, {**message, "previous_token": token})
        assert again.data["status"] == "TEMPORARILY_UNAVAILABLE"
    assert newcomer.count("health") == calls
    assert row("newcomer").unavailable_since == since, "else its operation would never be lost"
    newcomer.proves = True
    newcomer.proof_key = proof_key("newcomer", newcomer.instance_id)
    health.sweep()
    assert row("newcomer").status == "AVAILABLE"


# Names -----------------------------------------------------------------------------------------------------


def hostile_registrations(stub: StubWorker) -> Iterator[dict[str, Any]]:
    """Everything that somebody with a token of the same pool can know or invent about a live worker."""
    tokens = ["", "ktw_", worker_token("other", stub.instance_id), worker_token(stub.worker_id, "older"),
              worker_token(stub.worker_id, stub.instance_id)[:-1], "é" * 20]  # fmt: skip
    for token, instance, url in itertools.product(
        tokens, (stub.instance_id, "another"), (stub.url, "http://127.0.0.1:2", f"{stub.url}/")
    ):
        yield message_of(
            stub, previous_token=token, instance_id=instance, endpoint_url=url, proof_key=secrets.token_hex(8)
        )


def test_a_live_worker_is_replaced_only_with_its_own_token(
    default_pool: APIClient, neighbour: Neighbour
) -> None:
    stub = neighbour("gpu-1")
    before = Worker.objects.values().get()
    for message in hostile_registrations(stub):
        assert register(default_pool, message).status_code == 409, message
    assert Worker.objects.values().get() == before
    own = worker_token("gpu-1", stub.instance_id)
    assert register(default_pool, message_of(stub, previous_token=own)).status_code == 200
    successor = message_of(stub, previous_token=own, instance_id="second")
    assert register(default_pool, successor).status_code == 200
    assert row("gpu-1").instance_id == "second"


def test_a_name_belongs_to_its_pool_even_when_its_process_is_dead(default_pool: APIClient) -> None:
    dead = StubWorker("gpu-1", "", "")
    dead.url = "http://127.0.0.1:2"
    assert register(pool("rack"), message_of(dead)).status_code == 200
    stolen = worker_token("gpu-1", dead.instance_id)
    for stranger in (default_pool, pool("other", "stub")):
        for token in ("", stolen):
            theirs = message_of(dead, instance_id="new", previous_token=token, operation_types=[])
            refused = register(stranger, theirs)
            assert refused.status_code == 403
            assert "belongs to the pool rack" in refused.json()["detail"]
    assert row("gpu-1").instance_id == dead.instance_id
    renewed = pool("rack")
    assert register(renewed, message_of(dead, instance_id="new")).status_code == 200, (
        "a new token of the pool"
    )


def test_of_two_registrations_in_the_same_moment_one_is_told_to_try_again(
    default_pool: APIClient, newcomer: StubWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = name_claims.check

    def overtaken(*arguments: Any) -> Worker | None:
        holder = check(*arguments)
        WorkerFactory(worker_id="newcomer", instance_id="faster")
        return holder

    monkeypatch.setattr(name_claims, "check", overtaken)
    answer = register(default_pool, message_of(newcomer))
    assert answer.status_code == 409
    assert "was faster" in answer.json()["detail"]
    assert row("newcomer").instance_id == "faster"


# Operation types -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation_type", ["training", "backtesting", "data_import"])
def test_a_stub_pool_announces_no_operation_of_the_product(newcomer: StubWorker, operation_type: str) -> None:
    stub_pool = pool("stub")
    refused = register(stub_pool, message_of(newcomer, operation_types=announcing("noop", operation_type)))
    assert refused.status_code == 403
    assert f"may not announce {operation_type} operations" in refused.json()["detail"]
    assert "permit_operation_type stub" in refused.json()["detail"]
    assert not Worker.objects.exists()
    call_command("permit_operation_type", "stub", operation_type)
    assert (
        register(stub_pool, message_of(newcomer, operation_types=announcing(operation_type))).status_code
        == 200
    )


@pytest.mark.parametrize("worker", [BacktestWorker, TrainingWorker])
def test_a_token_for_a_worker_type_of_the_product_announces_what_such_workers_run(
    default_pool: APIClient, newcomer: StubWorker, worker: type[WorkerAPIBase]
) -> None:
    types = announcing(*(spec.operation_type for spec in worker.specs()))
    message = message_of(newcomer, worker_type=worker.worker_type, operation_types=types)
    assert register(default_pool, message).status_code == 200
    Worker.objects.all().delete()
    assert register(pool("cpus", worker.worker_type), message).status_code == 200


def test_the_first_pool_owns_a_new_type_and_the_default_pool_may_announce_every_type(
    default_pool: APIClient, newcomer: StubWorker
) -> None:
    first, second = pool("first"), pool("second")
    assert register(first, message_of(newcomer)).status_code == 200
    Worker.objects.all().delete()
    refused = register(second, message_of(newcomer))
    assert refused.status_code == 403
    assert "which belong to the pool first" in refused.json()["detail"]
    assert register(default_pool, message_of(newcomer)).status_code == 200
    assert OperationTypeOwner.objects.get(pk="noop").pool == "first"
    Worker.objects.all().delete()
    consented = pool("third", operation_types=["noop"])
    assert register(consented, message_of(newcomer)).status_code == 200


def test_a_refused_registration_ends_no_operation(default_pool: APIClient, neighbour: Neighbour) -> None:
    stub = neighbour("gpu-1")
    kept = [{"operation_id": "any", "report": {"attempt": 1, "instance_id": "x", "outcome": "completed"}}]
    for client in (default_pool, pool("stub")):
        forged = message_of(stub, completed_operations=kept, instance_id="new")
        assert register(client, forged).status_code in (403, 409)
    assert not Operation.objects.exists()
    assert auth.verify_worker_token(worker_token("gpu-1", "new")) == ("gpu-1", "new")
    assert row("gpu-1").instance_id == stub.instance_id
