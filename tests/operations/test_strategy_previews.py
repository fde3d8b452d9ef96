"""`POST /strategies/preview`: an operation on an idle worker, whose result is the response."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from dashboard.pages.strategies import list_strategies
from operations import deletion, reports, waiting_threads, watching
from operations.models import Event, MarketData, Operation
from operations.registered_kinds import preview_types
from operations.states import Status
from tests.factories import OperationFactory, StoredFileFactory, WorkerFactory
from tests.operations.preview_reports import STRATEGY_RESULT as RESULT
from tests.operations.preview_reports import report_while_waiting
from tests.page_forms import read_forms
from tests.strategies.texts import RULES, TRAINED
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db
ANNOUNCED = ["strategy_preview"]


@pytest.fixture(autouse=True)
def bars(db: None) -> None:
    MarketData.objects.create(
        symbol="AAPL", timeframe="1d", file=StoredFileFactory(), rows=3000, quality={},
        start="2001-01-02T00:00:00Z", end="2012-12-31T00:00:00Z",
    )  # fmt: skip


def ask(api: APIClient, **fields: Any) -> Any:
    return api.post("/strategies/preview", {"strategy_yaml": RULES, **fields}, format="json")


def test_the_result_of_the_worker_is_the_response(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    response = ask(api)
    assert response.status_code == 200
    assert response.json() == {name: value for name, value in RESULT.items() if name != "valid"}


def test_a_preview_is_no_run_of_the_strategy(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    ask(api)
    assert list_strategies() == []
    assert api.get("/operations").json()["results"] == []


def test_without_an_idle_worker_nothing_is_stored(api: APIClient) -> None:
    assert ask(api).status_code == 503
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"strategy_yaml": RULES.replace("type: sma", "type: smma")}, "/strategy_yaml"),
        ({"symbol": "NONE"}, "/symbol"),
        ({"strategy_yaml": TRAINED.replace("symbol: AAPL", "symbol: IBM")}, "/symbol"),
        ({"days": 3}, "/days"),
    ],
)
def test_an_invalid_request_points_to_its_field(api: APIClient, fields: dict[str, Any], pointer: str) -> None:
    response = ask(api, **fields)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith(pointer)


def test_bars_that_do_not_suffice_are_a_sentence(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    report_while_waiting(
        monkeypatch, ANNOUNCED, Outcome.COMPLETED, result={"valid": False, "error": "none of the 20 bars"}
    )
    response = ask(api)
    assert response.status_code == 422
    assert response.json()["detail"] == "none of the 20 bars"


def test_the_page_draws_what_the_worker_computed(
    client: Client, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    client.force_login(person)
    form = {"strategy_yaml": RULES, "symbol": "AAPL"}
    page = client.post("/dashboard/strategies/preview", form, headers={"HX-Request": "true"}).content.decode()
    assert "3 000 bars" in page.replace("\u202f", " ")
    assert "1d_strength_none" in page
    assert page.count("<polyline") == 4
    assert "9 entries" in page


def test_the_page_states_that_no_worker_is_free(client: Client, person: Any) -> None:
    client.force_login(person)
    page = client.post("/dashboard/strategies/preview", {"strategy_yaml": RULES}).content.decode()
    assert "No worker is free" in page
    assert "<h1>Preview</h1>" in page


@pytest.mark.parametrize("operation_type", preview_types())
@pytest.mark.parametrize(("status", "hours", "stays"), [
    ("COMPLETED", 25, False), ("FAILED", 25, False), ("CANCELLED", 25, False), ("COMPLETED", 23, True), ("RUNNING", 25, True),
])  # fmt: skip
def test_a_preview_is_removed_a_day_after_its_end(
    operation_type: str, status: str, hours: float, stays: bool
) -> None:
    moment = Now() - timedelta(hours=hours)
    ended = None if status == "RUNNING" else moment
    why = {"error_class": "job"} if status == "FAILED" else {}
    row = OperationFactory(
        operation_type=operation_type, status=status, created_at=moment, completed_at=ended, **why
    )
    other = OperationFactory(operation_type="backtesting", status="COMPLETED", completed_at=moment)
    assert deletion.count_previews() == (0 if stays else 1)
    assert deletion.remove_previews() == (0 if stays else 1)
    assert Operation.objects.filter(pk=row.pk).exists() == stays
    assert Operation.objects.filter(pk=other.pk).exists()


def test_a_preview_that_an_operation_waits_for_stays() -> None:
    row = OperationFactory(
        operation_type="data_preview", status="COMPLETED", completed_at=Now() - timedelta(days=2)
    )
    OperationFactory().after.add(row)
    assert deletion.count_previews() == deletion.remove_previews() == 0
    assert Operation.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("is_free", [True, False])
def test_the_page_asks_again_only_while_no_worker_is_free(
    client: Client, person: Any, monkeypatch: pytest.MonkeyPatch, is_free: bool
) -> None:
    if is_free:
        report_while_waiting(monkeypatch, ANNOUNCED, Outcome.COMPLETED, result=RESULT)
    client.force_login(person)
    page = client.post(
        "/dashboard/strategies/preview", {"strategy_yaml": RULES}, headers={"HX-Request": "true"}
    )
    assert ("tick from:body" in page.content.decode()) != is_free


def show(client: Client, **fields: str) -> str:
    form = {"strategy_yaml": RULES, **fields}
    return client.post("/dashboard/strategies/preview", form, headers={"HX-Request": "true"}).content.decode()


@contextmanager
def every_long_wait_taken() -> Iterator[None]:
    with ExitStack() as stack:
        assert all(stack.enter_context(watching.waiter()) for _ in range(waiting_threads.MOST_LONG))
        yield


def test_a_waiting_preview_takes_the_place_of_a_long_poll(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    WorkerFactory(worker_type="backtesting", announced=ANNOUNCED)
    free: list[bool] = []

    def wait(*_: object, **__: object) -> None:
        with ExitStack() as stack:
            free.extend(stack.enter_context(watching.waiter()) for _ in range(waiting_threads.MOST_LONG))

    monkeypatch.setattr(watching, "wait_until_ended", wait)
    assert ask(api).status_code == 202
    assert free == [True] * (waiting_threads.MOST_LONG - 1) + [False]


def test_a_preview_is_answered_at_once_if_too_many_requests_wait(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    WorkerFactory(worker_type="backtesting", announced=ANNOUNCED)
    monkeypatch.setattr(watching, "wait_until_ended", lambda *_, **__: pytest.fail("the request waited"))
    with every_long_wait_taken():
        response = ask(api)
    assert (response.status_code, response.json()["operation_id"]) == (202, Operation.objects.get().pk)


@pytest.mark.parametrize(("outcome", "fields", "shown"), [
    (Outcome.COMPLETED, {"result": RESULT}, "9 entries"),
    (Outcome.COMPLETED, {"result": {"valid": False, "error": "none of the 20 bars"}}, "none of the 20 bars"),
    (Outcome.FAILED, {"error": {"class": "job", "message": "it broke"}}, "The preview failed: it broke"),
])  # fmt: skip
def test_the_page_asks_for_a_slow_preview_until_it_ends(
    client: Client, person: Any, outcome: Outcome, fields: dict[str, Any], shown: str
) -> None:
    worker = WorkerFactory(worker_type="backtesting", announced=ANNOUNCED)
    client.force_login(person)
    with every_long_wait_taken():
        pages = [show(client)]
    operation = Operation.objects.get()
    pages += [show(client, preview_operation=operation.pk) for _ in range(2)]
    for page in pages:
        assert "tick from:body" in page
        assert f'"preview_operation": "{operation.pk}"' in page
    reports.apply(
        operation.pk, worker.worker_id, Report(attempt=1, instance_id="any", outcome=outcome, **fields)
    )
    page = show(client, preview_operation=operation.pk)
    assert shown in page
    assert "tick from:body" not in page
    assert Operation.objects.count() == 1


def test_a_newer_preview_first_cancels_the_one_that_the_page_waits_for(client: Client, person: Any) -> None:
    for _ in range(2):
        WorkerFactory(worker_type="backtesting", announced=ANNOUNCED)
    client.force_login(person)
    with every_long_wait_taken():
        (form,) = read_forms(f"<form method=post>{show(client)}</form>")
        older = Operation.objects.get()
        show(client, symbol="AAPL", **{name: value for name, (value,) in form.fields.items()})
        newer = Operation.objects.exclude(pk=older.pk).get()
        show(client, symbol="AAPL", preview_awaited=older.pk)  # asked twice, it is cancelled once
    events = Event.objects.filter(operation=older, to_status=Status.CANCELLING).values_list("pk", "reason")
    ((cancelled, reason),) = events
    assert reason == "a newer preview replaces it"
    assert cancelled < Event.objects.filter(operation=newer).earliest("pk").pk
    newer.refresh_from_db()
    assert newer.status == Status.DISPATCHING


@pytest.mark.parametrize(("fields", "is_mine"), [
    ({"status": "COMPLETED", "completed_at": Now()}, True),
    ({"status": "RUNNING"}, False),
    ({"status": "RUNNING", "operation_type": "backtesting"}, True),
    (None, True),
])  # fmt: skip
def test_a_newer_preview_cancels_nothing_but_an_active_preview_of_the_same_user(
    api: APIClient, person: Any, staff: Any, fields: dict[str, Any] | None, is_mine: bool
) -> None:
    WorkerFactory(worker_type="backtesting", announced=ANNOUNCED)
    pk = "unknown\0"
    if fields:
        values = {"operation_type": "strategy_preview", "created_by": person if is_mine else staff, **fields}
        pk = OperationFactory(**values).pk
    with every_long_wait_taken():
        assert ask(api, replaces=pk).status_code == 202
    assert not Event.objects.filter(to_status=Status.CANCELLING).exists()


@pytest.mark.parametrize(("operation_type", "age_s", "shown"), [
    ("strategy_preview", 121, "takes over 120 s"),
    ("strategy_preview", 60, "still being computed"),
    ("training", 0, "no longer exists"),
    (None, 0, "no longer exists"),
])  # fmt: skip
def test_the_page_asks_only_for_a_preview_and_for_two_minutes(
    client: Client, person: Any, operation_type: str | None, age_s: int, shown: str
) -> None:
    pk = "unknown/../x\0"
    if operation_type:
        pk = OperationFactory(operation_type=operation_type, created_at=Now() - timedelta(seconds=age_s)).pk
    client.force_login(person)
    page = show(client, preview_operation=pk)
    assert shown in page
    assert ("tick from:body" in page) == (shown == "still being computed")
