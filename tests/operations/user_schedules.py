"""A schedule of a user, and what its tests look at."""

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import Schedule, ScheduleRun
from operations.schedules import saving
from tests.factories import CapabilityFactory

SCHEMA = {"type": "object", "properties": {"seconds": {"type": "number"}}, "additionalProperties": False}
ECHO: dict[str, Any] = {"operation_type": "echo", "parameters": {"seconds": 1}}
BODY: dict[str, Any] = {"name": "nightly", "cron": "0 3 * * *", "operation": ECHO}


@pytest.fixture(autouse=True)
def echo() -> None:
    CapabilityFactory(parameters_schema=SCHEMA)


def create(api: APIClient, **changes: Any) -> Schedule:
    answer = api.post("/schedules", {**BODY, **changes})
    assert answer.status_code == 201, answer.json()
    return Schedule.objects.get(schedule_id=answer.json()["schedule_id"])


def make_due(late: timedelta = timedelta(seconds=1)) -> None:
    Schedule.objects.update(next_run_at=saving.database_time() - late, not_before=None)


def outcomes() -> list[str]:
    return list(ScheduleRun.objects.order_by("pk").values_list("outcome", flat=True))


def problems(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.json()
    return [error["pointer"] for error in answer.json()["errors"]]
