"""Pages of schedules: an operation is repeated, the form keeps what was entered, and buttons follow the API's rules."""

import json
from html import unescape
from typing import Annotated, Any

import pytest
from django.test import Client
from pydantic import BaseModel, Field

from operations import artifacts, repetition
from operations.models import Artifact, Operation, Schedule
from operations.presentation.forms import Form
from operations.registered_kinds import kind_of
from operations.schedules import saving
from tests.browser.sample_operations import STRATEGY
from tests.factories import CapabilityFactory, OperationFactory
from worker_agent.inputs import ArtifactOf

pytestmark = pytest.mark.django_db
AT = "/dashboard/schedules"


class Volatility(BaseModel):
    window: int = Field(default=20, ge=2)
    names: list[str] = []
    earlier: Annotated[str, ArtifactOf("table.csv")] | None = None


@pytest.fixture(autouse=True)
def announced() -> None:
    schema = Volatility.model_json_schema()
    CapabilityFactory(operation_type="volatility", worker_type="volatility", parameters_schema=schema)


@pytest.fixture
def browser(client: Client, person: Any) -> Client:
    client.force_login(person)
    return client


def page_of(browser: Client, address: str) -> str:
    response = browser.get(address, follow=True)
    assert response.status_code == 200, address
    return unescape(response.content.decode())


def form_of(operation: Operation) -> Form:
    form = kind_of(operation.operation_type).load_form()
    assert form is not None
    return form


def volatility(**fields: Any) -> Operation:
    operation: Operation = OperationFactory(
        operation_type="volatility", parameters={"window": 30, "names": ["a", "b"]}, **fields
    )
    return operation


def test_an_operation_is_repeated_at_fixed_times(browser: Client) -> None:
    operation = volatility(priority=7, requirements={"gpu": True}, prefer_gpu=True)
    assert f"/dashboard/schedules/new?operation={operation.pk}" in page_of(
        browser, f"/dashboard/operations/{operation.pk}"
    )
    assert '"window": 30' in page_of(browser, f"{AT}/new?operation={operation.pk}")
    submission = repetition.submission_of(operation, form_of(operation))
    fields = {
        "name": "hourly",
        "cron": "0 * * * *",
        "time_zone": "Europe/Berlin",
        "catch_up": "skip",
        "overlap": "queue",
        "operation": json.dumps(submission),
    }
    created = browser.post(f"{AT}/new", fields)
    schedule = Schedule.objects.get()
    assert created.headers["Location"] == f"{AT}/{schedule.schedule_id}"
    built = saving.build(schedule.submission, schedule.created_by)
    assert (built.operation_type, built.parameters) == ("volatility", operation.parameters)
    assert (built.queueing.priority, built.queueing.requirements, built.prefer_gpu) == (
        7,
        {"gpu": True},
        True,
    )
    assert (schedule.catch_up, schedule.overlap) == ("skip", "queue")
    shown = page_of(browser, created.headers["Location"])
    assert "data-submitted" in shown, "the draft of the form is deleted"
    assert shown.count("<time") >= 5
    assert "hourly" in page_of(browser, AT)


def test_the_submission_of_a_training_has_what_its_request_had() -> None:
    parameters = {
        "strategy_yaml": STRATEGY,
        "symbols": ["AAPL"],
        "timeframes": ["1d"],
        "seed": 7,
        "device": "auto",
    }
    operation = OperationFactory(operation_type="training", parameters=parameters, prefer_gpu=False)
    submission = repetition.submission_of(operation, form_of(operation))
    assert submission["strategy_yaml"] == STRATEGY
    assert (submission["symbols"], submission["seed"], submission["prefer_gpu"]) == (["AAPL"], 7, False)
    assert "device" not in submission
    assert repetition.lost_inputs(operation) == []


def test_inputs_that_only_the_request_named_are_asked_for(browser: Client) -> None:
    operation = volatility()
    file = artifacts.put([b"x"])
    Artifact.objects.create(operation=operation, role="input", name="bars.parquet", file=file)
    assert "its request named: bars.parquet" in page_of(browser, f"{AT}/new?operation={operation.pk}")


def test_a_refused_form_keeps_what_was_entered_and_names_the_place(browser: Client) -> None:
    body = {"operation_type": "volatility", "parameters": {"window": 1}}
    answer = browser.post(f"{AT}/new", {"name": "n", "cron": "0 * * * *", "operation": json.dumps(body)})
    text = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "parameters/window: " in text
    assert '"window": 1' in text
    assert "Not created. Please fix 1 problem." in text
    answer = browser.post(f"{AT}/new", {"name": "n", "cron": "every day", "operation": "{"})
    text = unescape(answer.content.decode())
    assert "five fields" in text
    assert "Please fix 2 problems." in text
    assert not Schedule.objects.exists()


def test_the_next_times_follow_what_is_typed(browser: Client) -> None:
    assert page_of(browser, f"{AT}/next?cron=0 9 * * mon&time_zone=Asia/Tokyo").count("<time") == 5
    assert "five fields" in page_of(browser, f"{AT}/next?cron=soon&time_zone=UTC")
    assert "not a time zone" in page_of(browser, f"{AT}/next?cron=0 9 * * mon&time_zone=../etc")


def test_buttons_pause_resume_change_and_delete(browser: Client) -> None:
    operation = volatility()
    submission = json.dumps(repetition.submission_of(operation, form_of(operation)))
    browser.post(f"{AT}/new", {"name": "n", "cron": "0 3 * * *", "operation": submission})
    schedule = Schedule.objects.get()
    at = f"{AT}/{schedule.schedule_id}"

    def press(act: str, **fields: str) -> Any:
        return browser.post(f"{at}/act/{act}", fields, follow=True)

    assert "Paused: nothing is submitted." in press("pause").content.decode()
    assert "already paused" in press("pause").content.decode()
    assert "Paused by user:researcher." in page_of(browser, at)
    assert "Resumed." in press("resume").content.decode()
    assert "Saved." in press("change", name="renamed", cron="5 3 * * *", overlap="queue").content.decode()
    schedule.refresh_from_db()
    assert (schedule.name, schedule.cron, schedule.overlap) == ("renamed", "5 3 * * *", "queue")
    refused = browser.post(f"{at}/act/change", {"cron": "never", "name": "again"})
    assert refused.status_code == 422
    assert 'value="never"' in refused.content.decode()
    assert browser.post(f"{at}/act/explode").status_code == 404
    press("delete")
    assert not Schedule.objects.exists()


def test_a_schedule_of_somebody_else_has_no_buttons(browser: Client, staff: Any) -> None:
    schedule = Schedule.objects.create(
        name="n", cron="0 3 * * *", time_zone="UTC", catch_up="once", overlap="skip",
        submission={"operation_type": "volatility"}, created_by=staff, next_run_at=saving.database_time(),
    )  # fmt: skip
    at = f"{AT}/{schedule.schedule_id}"
    assert "Only operator, who owns this schedule, and staff may change it." in page_of(browser, at)
    assert browser.post(f"{at}/act/delete").status_code == 403
    assert Schedule.objects.exists()
