"""The form that follows a training: filled with what tests its model on unseen data."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from operations import example_requests
from operations.kinds.backtesting import inputs
from operations.models import Operation
from tests.browser.sample_operations import create_import, create_training


@pytest.fixture
def training(staff: Any, client: Client) -> Operation:
    client.force_login(staff)
    create_import(staff, "IBM")
    row = create_training(staff)
    row.parameters = {"symbols": ["IBM", "GOOG"], "strategy_yaml": example_requests.TRAINING["strategy_yaml"]}
    row.result = {
        **(row.result or {}),
        "trained_from": "2001-02-03T00:00:00+00:00",
        "trained_until": "2008-03-04T20:00:00+00:00",
    }
    row.save(update_fields=["parameters", "result"])
    return row


def test_the_link_fills_the_form_from_the_training(client: Client, training: Operation) -> None:
    page = client.get(f"/dashboard/operations/{training.pk}").content.decode()
    address = page.split('class="button button-main" href="')[1].split('"')[0].replace("&amp;", "&")
    fields = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    assert fields == {
        "model": training.pk,
        "symbol": "IBM",
        "timeframe": "1d",
        "start_date": "2008-03-05",
        "allow_short": fields["allow_short"],
    }
    form = client.get(address).content.decode()
    assert "Amber: the model was trained on 2001-02-03 to 2008-03-04." in form
    assert 'class="coverage-seen"' in form
    assert "that is not a test on unseen data" not in form


@pytest.mark.parametrize(
    ("start", "end", "warns"),
    [
        ("2008-03-05", "", False),
        ("2008-03-04", "", True),
        ("", "", True),
        ("", "2001-02-02", False),
        ("x", "", False),
    ],
)
def test_dates_that_the_model_has_seen_are_named(
    client: Client, training: Operation, start: str, end: str, warns: bool
) -> None:
    query = {"model": training.pk, "symbol": "IBM", "start_date": start, "end_date": end}
    form = client.get("/dashboard/new/backtesting", query).content.decode()
    assert ("that is not a test on unseen data" in form) is warns


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_short_positions_are_those_of_the_strategy(training: Operation, allowed: str) -> None:
    decisions = "decisions: {output_format: classification"
    text = example_requests.TRAINING["strategy_yaml"]
    assert decisions in text
    training.parameters["strategy_yaml"] = text.replace(decisions, f"{decisions}, allow_short: {allowed}")
    assert inputs.fields_of_model(training)["allow_short"] == allowed


@pytest.mark.parametrize(
    "result", [None, {}, {"trained_from": 5, "trained_until": None}, {"trained_from": "x"}]
)
def test_a_training_of_an_older_worker_leaves_the_dates_open(training: Operation, result: Any) -> None:
    training.result = result
    assert inputs.seen_period(training) is None
    assert "start_date" not in inputs.fields_of_model(training)
    training.parameters = {"strategy_yaml": "not: a strategy"}
    assert inputs.fields_of_model(training) == {"model": training.pk}
