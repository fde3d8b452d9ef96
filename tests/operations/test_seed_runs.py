"""Seed runs: distinct derived seeds in one batch, the spread of the figures, API, command and pages."""

import json
import statistics
from datetime import UTC, datetime
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from operations import artifacts, seed_runs
from operations.models import MarketData, Operation, RunMetrics, SeedRun
from operations.seeds import Seeds
from tests.factories import CapabilityFactory, OperationFactory

pytestmark = pytest.mark.django_db
FILE = "examples/strategies/neuro_fuzzy_daily.yaml"
STRATEGY = Path(FILE).read_text()
TRAINING: dict[str, Any] = {
    "operation_type": "training",
    "strategy_yaml": STRATEGY,
    "symbols": ["AAPL"],
    "end_date": "2009-12-31",
}
SCHEMA = {"type": "object", "properties": {"seed": {"type": "integer"}, "paths": {"type": "integer"}}}


@pytest.fixture(autouse=True)
def bars() -> None:
    file = artifacts.put([b"bars"])
    MarketData.objects.create(
        symbol="AAPL", timeframe="1d", file=file, rows=9, quality={},
        start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2013, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def browser(client: Client, person: Any) -> Client:
    client.force_login(person)
    return client


def post(api: APIClient, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    return api.post("/seed-runs", {"seeds": 3, "operation": TRAINING, **fields}, headers=headers or {})


def complete(operation_id: str, result: dict[str, Any] | None = None, **figures: float) -> None:
    Operation.objects.filter(pk=operation_id).update(status="COMPLETED", completed_at=Now(), result=result)
    if figures:
        RunMetrics.objects.create(pk=operation_id, **figures)


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.json()
    return [error["pointer"] for error in answer.json()["errors"]]


@given(first=st.integers(0, 2**32 - 1), number=st.integers(1, seed_runs.MAX_SEEDS))
def test_derived_seeds_are_distinct_repeatable_and_continue(first: int, number: int) -> None:
    seeds = Seeds().derive(first, number)
    assert seeds[0] == first
    assert len(set(seeds)) == number
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert Seeds().derive(first, number + 1)[:number] == seeds
    assert Seeds().derive(first + 1, 2)[1] != Seeds().derive(first, 2)[1]


def test_a_training_runs_with_different_seeds_and_nothing_else_differs(api: APIClient) -> None:
    answer = post(api)
    assert answer.status_code == 202, answer.json()
    shown = api.get(answer.headers["Location"]).json()
    assert shown["spread"] == []
    rows = Operation.objects.in_bulk([member["operation_id"] for member in shown["operations"]])
    parameters = [rows[member["operation_id"]].parameters for member in shown["operations"]]
    assert [each.pop("seed") for each in parameters] == Seeds().derive(42, 3)
    assert parameters[0] == parameters[1] == parameters[2]
    assert [member["seed"] for member in shown["operations"]] == Seeds().derive(42, 3)
    assert api.get("/seed-runs").json()["results"][0]["created_by"] == "researcher"


def test_each_trained_model_is_backtested(api: APIClient) -> None:
    answer = post(api, seeds=2, backtest={"symbol": "AAPL", "start_date": "2010-01-01"})
    assert answer.status_code == 202, answer.json()
    members = answer.json()["operations"]
    assert [member["operation_type"] for member in members] == ["training"] * 2 + ["backtesting"] * 2
    assert [member["seed"] for member in members] == Seeds().derive(42, 2) * 2
    for training, backtest in zip(members[:2], members[2:], strict=True):
        row = Operation.objects.get(pk=backtest["operation_id"])
        assert row.parameters["model"] == training["operation_id"]
        assert [other.pk for other in row.after.all()] == [training["operation_id"]]


def test_the_spread_is_that_of_the_completed_operations(api: APIClient) -> None:
    shown = post(api, seeds=4).json()
    scores = [0.5, 0.75, 0.25]
    for member, score in zip(shown["operations"], scores, strict=False):
        complete(member["operation_id"], validation_score=score)
    (spread,) = api.get(f"/seed-runs/{shown['seed_run_id']}").json()["spread"]
    assert spread == {
        "operation_type": "training", "name": "validation_score", "count": 3, "minimum": 0.25, "median": 0.5,
        "mean": 0.5, "maximum": 0.75, "deviation": pytest.approx(statistics.stdev(scores)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "median", "mean", "has_deviation"),
    [
        ([1e308, 1e308, 1.5e308, 1.5e308], 1.25e308, 1.25e308, True),
        ([1.7e308, -1.7e308], 0.0, 0.0, False),
        ([1.7e308] * 3, 1.7e308, 1.7e308, True),
    ],
)
def test_huge_figures_have_a_spread(
    api: APIClient, browser: Client, figures: list[float], median: float, mean: float, has_deviation: bool
) -> None:
    CapabilityFactory(operation_type="walk", parameters_schema=SCHEMA)
    operation = {"operation_type": "walk", "parameters": {"seed": 1}}
    shown = post(api, seeds=len(figures), operation=operation).json()
    for member, figure in zip(shown["operations"], figures, strict=True):
        complete(member["operation_id"], {"figure": figure})
    (spread,) = api.get(f"/seed-runs/{shown['seed_run_id']}").json()["spread"]
    assert (spread["median"], spread["mean"]) == (pytest.approx(median), pytest.approx(mean))
    assert (spread["deviation"] is not None) == has_deviation
    assert browser.get(f"/dashboard/seed-runs/{shown['seed_run_id']}").status_code == 200


def test_one_value_has_no_deviation(api: APIClient) -> None:
    shown = post(api).json()
    complete(shown["operations"][1]["operation_id"], test_score=0.5)
    (spread,) = api.get(f"/seed-runs/{shown['seed_run_id']}").json()["spread"]
    assert (spread["count"], spread["minimum"], spread["deviation"]) == (1, 0.5, None)


def test_an_announced_type_with_a_seed_has_the_numbers_of_its_result(api: APIClient) -> None:
    CapabilityFactory(operation_type="paths", worker_type="paths", parameters_schema=SCHEMA)
    item = {"operation_type": "paths", "parameters": {"paths": 9, "seed": 7}}
    shown = post(api, seeds=2, operation=item).json()
    assert [member["seed"] for member in shown["operations"]] == Seeds().derive(7, 2)
    for number, member in enumerate(shown["operations"]):
        complete(member["operation_id"], {"mean_price": number, "ok": True, "text": "x"})
    (spread,) = api.get(f"/seed-runs/{shown['seed_run_id']}").json()["spread"]
    assert (spread["name"], spread["minimum"], spread["maximum"]) == ("mean_price", 0.0, 1.0)


@pytest.mark.parametrize(("declared", "first"), [({"default": 0}, 0), ({"default": 9}, 9), ({}, 42)])
def test_the_first_seed_of_an_announced_type_is_its_default(
    api: APIClient, declared: dict[str, int], first: int
) -> None:
    schema = {"properties": {"seed": {"type": "integer", **declared}}}
    CapabilityFactory(operation_type="paths", worker_type="paths", parameters_schema=schema)
    shown = post(api, seeds=2, operation={"operation_type": "paths", "parameters": {}}).json()
    assert [member["seed"] for member in shown["operations"]] == Seeds().derive(first, 2)


@given(lowest=st.integers(0, 9), available=st.integers(1, seed_runs.MAX_SEEDS), data=st.data())
def test_every_seed_within_the_bounds_can_be_derived(
    lowest: int, available: int, data: st.DataObject
) -> None:
    bounds = Seeds(lowest=lowest, highest=lowest + available - 1)
    assert bounds.available == available
    first = data.draw(st.integers(bounds.lowest, bounds.highest))
    number = data.draw(st.integers(1, available))
    seeds = bounds.derive(first, number)
    assert seeds == bounds.derive(first, available)[:number]
    assert set(bounds.derive(first, available)) == set(range(lowest, lowest + available))


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.parametrize("is_exclusive", [False, True])
@pytest.mark.parametrize(("lowest", "available"), [(0, 2), (3, 5), (7, 99)])
def test_as_many_seeds_as_the_limits_of_an_announced_type_allow_and_no_more(
    api: APIClient, lowest: int, available: int, is_exclusive: bool, excess: int
) -> None:
    allowed = range(lowest, lowest + available)
    limits = {"minimum": allowed[0], "maximum": allowed[-1]}
    if is_exclusive:
        limits = {"exclusiveMinimum": allowed[0] - 1, "exclusiveMaximum": allowed[-1] + 1}
    schema = {"properties": {"seed": {"type": "integer", "default": allowed[-1], **limits}}}
    CapabilityFactory(operation_type="paths", worker_type="paths", parameters_schema=schema)
    answer = post(api, seeds=available + excess, operation={"operation_type": "paths", "parameters": {}})
    if excess:
        assert pointers(answer) == ["/seeds"]
        (error,) = answer.json()["errors"]
        assert f"from {allowed[0]} to {allowed[-1]}, too few for {available + 1}" in error["detail"]
    else:
        assert sorted(member["seed"] for member in answer.json()["operations"]) == list(allowed)


def test_contradictory_limits_allow_no_seed(api: APIClient) -> None:
    for worker_type, limits in (("low", {"maximum": 4}), ("high", {"minimum": 9})):
        schema = {"properties": {"seed": {"type": "integer", **limits}}}
        CapabilityFactory(operation_type="paths", worker_type=worker_type, parameters_schema=schema)
    answer = post(api, seeds=2, operation={"operation_type": "paths", "parameters": {"seed": 2}})
    assert pointers(answer) == ["/seeds"]


def test_problems_point_into_the_request_once_and_nothing_is_stored(api: APIClient) -> None:
    CapabilityFactory()
    for fields, places in (
        ({"seeds": 1}, ["/seeds"]),
        ({"seeds": 101}, ["/seeds"]),
        ({"operation": {**TRAINING, "symbols": ["ZZZ"]}}, ["/operation/symbols/0"]),
        ({"operation": {**TRAINING, "seed": -1}}, ["/operation/seed"]),
        ({"operation": {"operation_type": "echo", "parameters": {}}}, ["/operation/operation_type"]),
        ({"operation": {"operation_type": "backtesting"}}, ["/operation/operation_type"]),
        ({"backtest": {"symbol": "AAPL", "commission": 9}}, ["/backtest/commission"]),
    ):
        assert pointers(post(api, **fields)) == places, fields
    assert not Operation.objects.exists()
    assert not SeedRun.objects.exists()


def test_a_repeated_request_submits_once(api: APIClient) -> None:
    first, again = (post(api, {"Idempotency-Key": "one"}).json() for _ in range(2))
    assert first == again
    assert (SeedRun.objects.count(), Operation.objects.count()) == (1, 3)
    assert post(api, {"Idempotency-Key": "one"}, seeds=2).status_code == 422


def test_the_command_submits_a_seed_run() -> None:
    out = StringIO()
    options = ("training", FILE, "--symbols", "AAPL", "--to", "2009-12-31")
    call_command("submit", *options, "--seeds", "3", "--json", stdout=out)
    seed_run = SeedRun.objects.get()
    assert json.loads(out.getvalue()) == {"seed_run_id": seed_run.seed_run_id}
    assert seed_run.members.count() == 3
    with pytest.raises(CommandError, match="cannot be combined"):
        call_command("submit", *options, "--seeds", "3", "--wait")
    with pytest.raises(CommandError, match="/seeds"):
        call_command("submit", *options, "--seeds", "1")


def test_pages_repeat_a_training_and_show_the_spread(browser: Client) -> None:
    parameters = {"strategy_yaml": STRATEGY, "symbols": ["AAPL"], "timeframes": ["1d"], "seed": 5}
    operation = OperationFactory(operation_type="training", parameters=parameters)
    page = browser.get(f"/dashboard/operations/{operation.pk}").content.decode()
    address = f"/dashboard/seed-runs/new?operation={operation.pk}"
    assert address in page
    form = unescape(browser.get(address).content.decode())
    submission = json.loads(form.split('name="operation"')[1].split(">", 1)[1].split("</textarea>")[0])
    assert (submission["seed"], submission["symbols"]) == (5, ["AAPL"])
    created = browser.post(
        "/dashboard/seed-runs/new",
        {"seeds": "3", "operation": json.dumps(submission), "backtest": '{"symbol": "AAPL"}'},
    )
    seed_run = SeedRun.objects.get()
    assert created.headers["Location"] == f"/dashboard/seed-runs/{seed_run.seed_run_id}"
    for member, score in zip(seed_runs.members_of(seed_run), (0.5, 0.6, 0.7), strict=False):
        complete(member.operation_id, validation_score=score)
    shown = browser.get(created.headers["Location"]).content.decode()
    assert "data-submitted" in shown, "the draft of the form is deleted"
    assert "Training: spread over the seeds" in shown
    assert [text in shown for text in ("50.0 %", "60.0 %", "70.0 %", "10.0 %")] == [True] * 4
    assert "3 of 6 operations have ended" in shown
    assert seed_run.seed_run_id in browser.get("/dashboard/seed-runs").content.decode()
    member = seed_run.members.all()[0]
    assert (
        f"/dashboard/seed-runs/{seed_run.seed_run_id}"
        in browser.get(f"/dashboard/operations/{member.operation_id}").content.decode()
    )


def submit_form(browser: Client, operation_type: str, **fields: str) -> Any:
    return browser.post(f"/dashboard/new/{operation_type}", fields)


def test_the_training_form_with_several_seeds_submits_a_seed_run(browser: Client) -> None:
    fields = {"strategy_yaml": STRATEGY, "symbols": "AAPL", "seed": "7", "idempotency_key": "form"}
    preview = browser.post("/dashboard/new/training/preview", {**fields, "seeds": "3"}).content.decode()
    assert "http://testserver/seed-runs" in unescape(preview)
    assert 'print(response.json()["seed_run_id"])' in unescape(preview)
    for _ in range(2):
        answer = submit_form(browser, "training", **fields, seeds="3")
        seed_run = SeedRun.objects.get()
        assert answer.headers["Location"] == f"/dashboard/seed-runs/{seed_run.seed_run_id}"
    assert [member.seed for member in seed_runs.members_of(seed_run)] == Seeds().derive(7, 3)
    one = submit_form(browser, "training", strategy_yaml=STRATEGY, symbols="AAPL", seeds="1")
    assert one.headers["Location"].startswith("/dashboard/operations/")
    assert SeedRun.objects.count() == 1


def test_the_form_of_an_announced_type_with_a_seed_submits_a_seed_run(browser: Client) -> None:
    CapabilityFactory(operation_type="paths", worker_type="paths", parameters_schema=SCHEMA, timeout_s=3600)
    form = browser.get("/dashboard/new/paths").content.decode()
    assert "at most 1 h 0 min per attempt" in form
    fields = {"parameters.paths": "9", "parameters.seed": "7", "seeds": "2"}
    assert submit_form(browser, "paths", **fields).status_code == 302
    members = seed_runs.members_of(SeedRun.objects.get())
    assert [member.operation.parameters for member in members] == [
        {"paths": 9, "seed": seed} for seed in Seeds().derive(7, 2)
    ]
    CapabilityFactory()
    assert "Number of seeds" not in browser.get("/dashboard/new/echo").content.decode()


@pytest.mark.parametrize(
    ("name", "text"),
    [("seeds", "0"), ("seeds", "101"), ("seeds", "many"), ("seed", "-1"), ("symbols", "ZZZ")],
)
def test_a_problem_of_a_seed_run_is_shown_at_the_field_of_the_form(
    browser: Client, name: str, text: str
) -> None:
    fields = {"strategy_yaml": STRATEGY, "symbols": "AAPL", "seeds": "2", name: text}
    answer = submit_form(browser, "training", **fields)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert f'id="error_{name}"' in page
    assert "Please fix 1 problem" in unescape(page)
    assert not Operation.objects.exists()


def test_a_refused_form_keeps_what_was_entered(browser: Client) -> None:
    answer = browser.post(
        "/dashboard/seed-runs/new", {"seeds": "1", "operation": '{"operation_type": "echo"}'}
    )
    text = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "Not submitted. Please fix 1 problem." in text
    assert '{"operation_type": "echo"}' in text
    unknown = OperationFactory()
    assert browser.get(f"/dashboard/seed-runs/new?operation={unknown.pk}").status_code == 404
