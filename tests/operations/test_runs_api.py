"""`GET /runs`: the filter and the order of the page of runs, with metrics and settings as values."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from operations.models import Operation
from operations.runs import ranking
from operations.runs.columns import METRICS
from tests.factories import OperationFactory
from tests.operations.test_runs_page import create_run

pytestmark = pytest.mark.django_db


def names(api: APIClient, **query: Any) -> list[str]:
    return [row["operation_id"] for row in api.get("/runs", query).json()["results"]]


def test_a_row_has_every_metric_and_the_settings(api: APIClient) -> None:
    settings = {"commission": 0.001, "symbols": ["AAPL"], "strategy.name": "cross"}
    run = create_run("a", sharpe=1.25, trades=30.0, settings=settings)
    OperationFactory(operation_id="unranked", operation_type="training")
    (row, unranked) = sorted(api.get("/runs").json()["results"], key=lambda row: row["operation_id"])
    assert row["metrics"] == {name: {"sharpe": 1.25, "trades": 30.0}.get(name) for name in METRICS}
    assert row["settings"] == settings
    assert (row["operation_type"], row["status"], row["title"], row["subject"], row["tags"]) == (
        "backtesting", "COMPLETED", "a", "AAPL", [],
    )  # fmt: skip
    assert row["created_at"] == run.created_at.isoformat().replace("+00:00", "Z")
    assert (unranked["settings"], set(unranked["metrics"].values())) == ({}, {None})


def test_the_subject_of_a_model_is_its_strategy_as_on_the_page(
    api: APIClient, client: Client, person: User
) -> None:
    training = OperationFactory(operation_type="training", parameters={"strategy_yaml": "name: fuzzy\n"})
    run = create_run("a", sharpe=1.0)
    Operation.objects.filter(pk=run.pk).update(parameters={"model": training.pk, "symbol": "AAPL"})
    rows = {row["operation_id"]: row["subject"] for row in api.get("/runs").json()["results"]}
    assert rows == {"a": "fuzzy · AAPL", training.pk: "fuzzy"}
    client.force_login(person)
    page = client.get("/dashboard/runs").context["table"].rows
    assert {row.operation.pk: row.about for row in page} == rows
    exported = client.get("/dashboard/runs.csv").getvalue().decode()
    assert "fuzzy · AAPL" in exported


def test_pages_follow_each_other_and_the_last_one_has_no_next(api: APIClient) -> None:
    for number in range(5):
        create_run(f"r{number}", sharpe=float(number))
    found, offset = [], 0
    while offset is not None:
        page = api.get("/runs", {"order": "-sharpe", "limit": 2, "offset": offset}).json()
        found.append([row["operation_id"] for row in page["results"]])
        offset = page["next_offset"]
    assert found == [["r4", "r3"], ["r2", "r1"], ["r0"]]


@pytest.mark.parametrize("order", [*ranking.FIELDS, *METRICS, "return", "-sharpe", "-title"])
def test_each_order_is_that_of_the_page(api: APIClient, client: Client, person: User, order: str) -> None:
    for number, value in enumerate([0.5, None, 1.5, -2.0]):
        create_run(f"r{number}", **dict.fromkeys(METRICS, value))
    client.force_login(person)
    page = client.get("/dashboard/runs", {"sort": order})
    assert names(api, order=order) == [row.operation.pk for row in page.context["table"].rows]


def test_archived_and_deleted_runs_are_hidden_unless_asked_for(api: APIClient) -> None:
    for name, fields in {
        "shown": {},
        "archived": {"archived_at": timezone.now()},
        "deleted": {"deleted_at": timezone.now()},
    }.items():
        create_run(name)
        Operation.objects.filter(pk=name).update(**fields)
    assert names(api) == ["shown"]
    assert names(api, archived="true") == ["archived"]
    assert set(names(api, archived="any")) == {"shown", "archived"}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"where": "sharp > 1"}, "/where"),
        ({"where": "sharpe >"}, "/where"),
        ({"where": "x" * 501}, "/where"),
        ({"where": "title = a\x00"}, "/where"),
        ({"order": "colour"}, "/order"),
        ({"order": "-"}, "/order"),
        ({"order": "--sharpe"}, "/order"),
        ({"archived": "yes"}, "/archived"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "1001"}, "/limit"),
        ({"offset": "-1"}, "/offset"),
    ],
)
def test_what_cannot_be_read_is_named(api: APIClient, query: dict[str, str], pointer: str) -> None:
    answer = api.get("/runs", query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_number_of_statements_does_not_depend_on_the_number_of_runs(api: APIClient) -> None:
    api.get("/runs")  # the first request of a user reads more
    counts = []
    for number in (1, 20):
        for index in range(number):
            create_run(f"{number}-{index}", sharpe=1.0)
        with CaptureQueriesContext(connection) as queries:
            assert len(names(api)) >= number
        counts.append(len(queries))
    assert counts[0] == counts[1]
