"""Schedules of users by API and command: creating and changing them, and who may."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from access.models import AuditEntry
from access.roles import Role
from operations.models import Operation, Schedule
from operations.schedules import saving
from tests.operations.user_schedules import BODY, ECHO, create, echo, problems

__all__ = ["echo"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]


def test_a_schedule_shows_its_submission_and_its_next_five_times(api: APIClient) -> None:
    answer = api.post("/schedules", {**BODY, "time_zone": "Europe/Berlin"})
    shown = api.get(answer.headers["Location"]).json()
    assert shown["operation"] == ECHO
    assert len(shown["next_times"]) == 5
    assert shown["next_times"][0] == shown["next_run_at"]
    assert shown["created_by"] == "researcher"
    assert [row["name"] for row in api.get("/schedules").json()["results"]] == ["nightly"]
    assert not Operation.objects.exists()


def test_a_submission_that_would_be_refused_is_refused_with_its_place(api: APIClient) -> None:
    for operation, place in (
        ({**ECHO, "parameters": {"seconds": "x"}}, "/operation/parameters/seconds"),
        ({**ECHO, "queue": False}, "/operation/queue"),
        ({**ECHO, "priority": 5000}, "/operation/priority"),
        ({"parameters": {}}, "/operation/operation_type"),
        ({"operation_type": "data_import"}, "/operation/operation_type"),
        ({**ECHO, "parameters": {"seconds": 1, "\x00": 1}}, "/operation/parameters"),
        ("training", "/operation"),
    ):
        assert problems(api.post("/schedules", {**BODY, "operation": operation}))[0] == place, operation
    assert problems(api.post("/schedules", {**BODY, "time_zone": "Mars"})) == ["/time_zone"]


def test_a_repeated_request_creates_one_schedule(api: APIClient) -> None:
    headers = {"Idempotency-Key": "one"}
    first, again = (api.post("/schedules", BODY, headers=headers) for _ in range(2))
    assert first.json()["schedule_id"] == again.json()["schedule_id"]
    assert Schedule.objects.count() == 1
    assert api.post("/schedules", {**BODY, "name": "x"}, headers=headers).status_code == 422


def test_a_user_has_a_limited_number_of_schedules(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "MAX_SCHEDULES", 1)
    create(api)
    assert api.post("/schedules", BODY).status_code == 409


def test_only_its_owner_and_staff_may_change_a_schedule(api: APIClient, staff_api: APIClient) -> None:
    schedule = create(api)
    at = f"/schedules/{schedule.schedule_id}"
    stranger = User.objects.create_user("stranger")
    stranger.groups.add(Group.objects.get(name=Role.OPERATOR.group))
    other = APIClient()
    other.force_authenticate(stranger)
    for method, address, body in (
        ("patch", at, {"name": "x"}),
        ("post", f"{at}/pause", {}),
        ("post", f"{at}/resume", {}),
        ("delete", at, {}),
    ):
        refused = getattr(other, method)(address, body, format="json")
        assert refused.status_code == 403
        assert "researcher" in refused.json()["detail"]
    assert other.get(at).status_code == 200
    assert staff_api.post(f"{at}/pause", {"reason": "too often"}, format="json").status_code == 200
    assert api.post(f"{at}/pause", {}).status_code == 409
    shown = api.post(f"{at}/resume", {}).json()
    assert (shown["paused_at"], shown["pause_reason"]) == (None, "")
    assert api.post(f"{at}/resume", {}).status_code == 409
    assert api.patch(at, {"cron": "0 4 * * *", "overlap": "queue"}).json()["cron"] == "0 4 * * *"
    assert api.delete(at).status_code == 200
    assert api.get(at).status_code == 404
    acts = list(AuditEntry.objects.order_by("pk").values_list("act", "actor"))
    assert acts == [
        ("schedule_created", "user:researcher"),
        ("schedule_paused", "user:operator"),
        ("schedule_resumed", "user:researcher"),
        ("schedule_changed", "user:researcher"),
        ("schedule_deleted", "user:researcher"),
    ]


def test_commands_create_list_pause_resume_and_delete(person: Any, tmp_path: Path) -> None:
    file = tmp_path / "echo.json"
    file.write_text(json.dumps(ECHO))
    options = ("--user", "researcher", "--name", "hourly", "--cron", "5 * * * *")
    created = json.loads(manage("create_schedule", str(file), *options, "--json"))
    schedule_id = created["schedule_id"]
    assert schedule_id in manage("list_schedules")
    assert manage("pause_schedule", schedule_id, "--reason", "holiday") == f"{schedule_id} is paused\n"
    (listed,) = json.loads(manage("list_schedules", "--json"))
    assert (listed["pause_reason"], listed["operation_type"]) == ("holiday", "echo")
    assert "paused" in manage("list_schedules")
    assert manage("resume_schedule", schedule_id) == f"{schedule_id} is resumed\n"
    assert json.loads(manage("delete_schedule", schedule_id, "--json")) == {"schedule_id": schedule_id}
    assert not Schedule.objects.exists()
    with pytest.raises(CommandError, match="Unknown schedule"):
        manage("pause_schedule", schedule_id)
    with pytest.raises(CommandError, match="five fields"):
        manage("create_schedule", str(file), *options[:-1], "hourly")
    file.write_text("{")
    with pytest.raises(CommandError, match="not valid JSON"):
        manage("create_schedule", str(file), *options)
    file.write_text(json.dumps(ECHO))
    User.objects.create_user("guest")
    with pytest.raises(CommandError, match="may not submit"):
        manage("create_schedule", str(file), "--user", "guest", *options[2:])


def manage(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()
