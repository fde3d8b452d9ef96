"""`POST /operations/batch`: many submissions, all or none."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from operations import artifacts, batches, insertion
from operations.actors import Actor
from operations.models import Artifact, Batch, Event, MarketData, Operation
from tests.claiming import claim_next
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from tests.operations.test_at_once import THREADS, at_once

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
STRATEGY = Path("examples/strategies/neuro_fuzzy_daily.yaml").read_text()
SCHEMA = {"type": "object", "properties": {"seconds": {"type": "number"}}, "additionalProperties": False}
ECHO: dict[str, Any] = {"operation_type": "echo", "parameters": {"seconds": 1}}


@pytest.fixture
def echo() -> None:
    CapabilityFactory(parameters_schema=SCHEMA)


@pytest.fixture
def bars() -> None:
    file = artifacts.put([b"bars"])
    for symbol in ("AAPL", "IBM", "MSFT"):
        MarketData.objects.create(
            symbol=symbol, timeframe="1d", file=file, rows=9, quality={},
            start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2013, 1, 1, tzinfo=UTC),
        )  # fmt: skip


def post(api: APIClient, *items: dict[str, Any], **headers: str) -> Any:
    return api.post("/operations/batch", {"operations": list(items)}, headers=headers)


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.json()
    return [error["pointer"] for error in answer.json()["errors"]]


def test_the_results_are_in_the_order_of_the_items_and_so_is_the_queue(api: APIClient, echo: None) -> None:
    answer = post(api, *({**ECHO, "parameters": {"seconds": number}} for number in range(20)))
    assert answer.status_code == 202
    ids = [result["operation_id"] for result in answer.json()["results"]]
    rows = Operation.objects.in_bulk(ids)
    assert [rows[pk].parameters["seconds"] for pk in ids] == list(range(20))
    assert {event.actor for event in Event.objects.all()} == {"user:researcher"}
    assert Event.objects.count() == 20
    WorkerFactory.create_batch(20)
    claimed = [claim.operation_id for _ in ids if (claim := claim_next(Actor("test")))]
    assert claimed == ids


def test_one_invalid_item_stops_all_with_its_index(api: APIClient, echo: None) -> None:
    answer = post(
        api,
        ECHO,
        {**ECHO, "parameters": {"seconds": "x"}},
        ECHO,
        {**ECHO, "priority": "high"},
        {"operation_type": "dream"},
        {"parameters": {}},
        {**ECHO, "queue": False},
        {"operation_type": "data_import", "symbol": "A"},
        {**ECHO, "after": ["nobody"]},
        {**ECHO, "parameters": {"seconds": 1, "\x00": 1}},
    )
    places = pointers(answer)
    assert places[:5] == [
        "/operations/1/parameters/seconds",
        "/operations/3/priority",
        "/operations/4/operation_type",
        "/operations/5/operation_type",
        "/operations/6/queue",
    ]
    assert {place.split("/")[2] for place in places} == {"1", "3", "4", "5", "6", "7", "8", "9"}
    assert answer.json()["detail"] == "8 of 10 operations are not valid; nothing was stored."
    assert not Operation.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"operations": []}, "/operations"),
        ({"operations": [ECHO] * (batches.MAX_ITEMS + 1)}, "/operations"),
        ({"operations": [ECHO, 1]}, "/operations/1"),
        ({"operations": "x"}, "/operations"),
        ({}, "/operations"),
        ({"operations": [ECHO], "more": 1}, "/more"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_batch_itself_is_bounded(api: APIClient, echo: None, body: Any, pointer: str) -> None:
    assert pointers(api.post("/operations/batch", body)) == [pointer]
    assert not Operation.objects.exists()


def test_a_thousand_invalid_items_get_a_bounded_answer(api: APIClient, echo: None) -> None:
    answer = post(api, *[{**ECHO, "priority": "high"}] * batches.MAX_ITEMS)
    assert len(pointers(answer)) == batches.MAX_ERRORS
    assert answer.json()["detail"] == "1000 of 1000 operations are not valid; nothing was stored."


def test_a_kinds_own_request_is_accepted_and_a_backtest_waits_for_a_training_of_its_batch(
    api: APIClient, bars: None
) -> None:
    training = {"operation_type": "training", "strategy_yaml": STRATEGY, "symbols": ["AAPL"]}
    backtest = {"operation_type": "backtesting", "model": "#0", "after": ["#0"], "symbol": "IBM"}
    generic = {
        "operation_type": "backtesting",
        "parameters": {"model": "#0", "symbol": "MSFT"},
        "after": ["#0"],
    }
    answer = post(api, training, backtest, generic)
    assert answer.status_code == 202, answer.json()
    first, second, third = (result["operation_id"] for result in answer.json()["results"])
    for pk in (second, third):
        row = Operation.objects.get(pk=pk)
        assert row.blockers == 1
        assert row.parameters["model"] == first
        assert [other.pk for other in row.after.all()] == [first]
        assert row.artifacts.filter(role=Artifact.Role.INPUT).exists()


def test_errors_of_a_kinds_own_request_have_their_index(api: APIClient, bars: None) -> None:
    training = {"operation_type": "training", "strategy_yaml": STRATEGY, "symbols": ["AAPL"]}
    places = pointers(
        post(
            api,
            training,
            {**training, "symbols": ["AAPL", "NOPE"]},
            {"operation_type": "backtesting", "model": "#0", "after": ["#0"], "symbol": "NOPE"},
            {"operation_type": "backtesting", "model": "#0", "symbol": "IBM"},
            {"operation_type": "backtesting", "model": "#1", "after": ["#1"], "symbol": "NOPE"},
        )
    )
    # The last one cannot be judged, because the training it refers to is not valid.
    assert places == ["/operations/1/symbols/1", "/operations/2/symbol", "/operations/3/model"]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("reference", ["#1", "#2", "#-1", "#", "#x", "#99999999999999999999", "#\u0661"])
def test_a_reference_to_no_earlier_item_is_refused(api: APIClient, echo: None, reference: str) -> None:
    answer = post(api, ECHO, {**ECHO, "after": [reference]}, ECHO)
    assert pointers(answer) == ["/operations/1/after/0"]


def test_items_may_wait_for_operations_outside_the_batch(api: APIClient, echo: None) -> None:
    earlier = OperationFactory()
    failed = OperationFactory(status="CANCELLED", completed_at=datetime(2026, 1, 1, tzinfo=UTC))
    answer = post(api, {**ECHO, "after": [earlier.pk]}, {**ECHO, "after": [earlier.pk, "#0"]})
    assert answer.status_code == 202
    last = Operation.objects.get(pk=answer.json()["results"][1]["operation_id"])
    assert {other.pk for other in last.after.all()} == {
        earlier.pk,
        answer.json()["results"][0]["operation_id"],
    }
    assert pointers(post(api, ECHO, {**ECHO, "after": [failed.pk]})) == ["/operations/1/after/0"]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_graph_of_references_becomes_the_same_graph_of_operations(
    api: APIClient, echo: None, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 12))
    graph = [
        data.draw(st.lists(st.integers(0, index - 1), unique=True, max_size=3)) if index else []
        for index in range(size)
    ]
    answer = post(api, *({**ECHO, "after": [f"#{other}" for other in edges]} for edges in graph))
    ids = [result["operation_id"] for result in answer.json()["results"]]
    for pk, edges in zip(ids, graph, strict=True):
        assert {row.pk for row in Operation.objects.get(pk=pk).after.all()} == {ids[other] for other in edges}


def test_the_number_of_statements_does_not_grow_with_the_batch(api: APIClient, echo: None) -> None:
    def statements(number: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert post(api, *[ECHO] * number).status_code == 202
        return len([query for query in captured if "registry_capability" not in query["sql"]])

    statements(1)
    assert statements(200) == statements(2)


def test_the_same_key_and_body_have_the_same_answer(api: APIClient, echo: None) -> None:
    key = {"Idempotency-Key": "k1"}
    first = post(api, ECHO, ECHO, **key)
    assert post(api, ECHO, ECHO, **key).json() == first.json()
    assert Operation.objects.count() == 2
    assert post(api, ECHO, **key).status_code == 422
    assert api.post("/operations", ECHO, headers=key).status_code == 422
    assert api.post("/operations", ECHO, headers={"Idempotency-Key": "k2"}).status_code == 202
    assert post(api, ECHO, **{"Idempotency-Key": "k2"}).status_code == 422
    assert Operation.objects.count() == 3


def test_an_invalid_batch_does_not_use_up_its_key(api: APIClient, echo: None) -> None:
    assert post(api, {**ECHO, "priority": "x"}, **{"Idempotency-Key": "k1"}).status_code == 422
    assert post(api, ECHO, **{"Idempotency-Key": "k1"}).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_one_key_from_eight_threads_makes_one_batch(echo: None) -> None:
    user = User.objects.create_user("researcher")
    by = insertion.Submitter(user, Actor("user:test"), "key-1", "a" * 64)

    def submit() -> tuple[str, ...]:
        return tuple(operation.pk for operation in batches.submit_batch([ECHO, ECHO], by))

    assert len(set(at_once(*[submit] * THREADS))) == 1
    assert Operation.objects.count() == Event.objects.count() == 2
    assert Batch.objects.count() == 1
