"""Schedules of users: due times, exactly one submission for each, rules, isolation, and who may change them."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.functions import Now
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from access.models import AuditEntry
from access.roles import Role
from operations import clock_steps, dispatch_pauses, quotas, tasks
from operations.actors import Actor
from operations.insertion import Submitter
from operations.models import Event, Operation, Schedule, ScheduleRun
from operations.schedules import running, saving
from operations.schedules.requests import ScheduleRequest
from operations.schedules.times import due_times, next_times, validate_cron
from tests.factories import CapabilityFactory, OperationFactory
from tests.interleaving import act_before_commit_of
from tests.operations.test_at_once import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]
SCHEMA = {"type": "object", "properties": {"seconds": {"type": "number"}}, "additionalProperties": False}
ECHO: dict[str, Any] = {"operation_type": "echo", "parameters": {"seconds": 1}}
BODY: dict[str, Any] = {"name": "nightly", "cron": "0 3 * * *", "operation": ECHO}
SUMMER_TIME = {
    "UTC": [],
    "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
}


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


# Due times


@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(sorted(SUMMER_TIME)),
    change=st.integers(0, 1),
    before=st.integers(0, 3 * 1440),
)
def test_a_daily_time_is_due_once_a_day_also_when_the_clocks_change(
    minute: int, hour: int, zone: str, change: int, before: int
) -> None:
    days = SUMMER_TIME[zone] or [date(2026, 3, 29), date(2026, 10, 25)]
    middle = datetime.combine(days[change], datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    after = middle - timedelta(minutes=before)
    times = next_times(f"{minute} {hour} * * *", zone, after, 6)
    assert times == sorted(times)
    assert times[0] > after
    local = [time.astimezone(ZoneInfo(zone)) for time in times]
    assert len({time.date() for time in local}) == 6
    assert (local[-1].date() - local[0].date()).days == 5
    shifted = [time for time in local if (time.hour, time.minute) != (hour, minute)]
    assert all(time.date() in SUMMER_TIME[zone] for time in shifted)


def test_an_hourly_schedule_has_no_gap_when_the_clocks_change() -> None:
    for day in SUMMER_TIME["Europe/Berlin"]:
        after = datetime.combine(day, datetime.min.time(), UTC)
        times = next_times("15 * * * *", "Europe/Berlin", after, 24)
        gaps = {later - earlier for earlier, later in pairwise(times)}
        assert gaps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    "cron",
    ["* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@daily", "R 3 * * *", "0 H * * *", "", "x" * 300],
)
def test_an_expression_without_five_fields_or_without_a_time_is_refused(api: APIClient, cron: str) -> None:
    assert problems(api.post("/schedules", {**BODY, "cron": cron})) == ["/cron"]


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/5  9-17 * * mon-fri", "0 6 1,15 mar,apr fri"])
def test_an_expression_with_a_time_is_accepted(cron: str) -> None:
    assert next(due_times(validate_cron(cron), "UTC", datetime(2026, 1, 1, tzinfo=UTC)))


# Requests


@pytest.mark.parametrize("day", ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
@pytest.mark.parametrize("year", [2026, 2027, 2033, 2061, 2097])
def test_the_rarest_time_comes_again_whenever_one_looks(day: str, year: int) -> None:
    """29 February as a fifth weekday: every 28 years, and after 40 around 2100, which has none."""
    expression = validate_cron(f"0 0 29 2 {day}#5")
    (following,) = next_times(expression, "UTC", datetime(year, 3, 1, tzinfo=UTC), 1)
    assert (following.month, following.day, f"{following:%a}".lower()) == (2, 29, day)


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


# Running


def test_a_due_time_submits_once_as_the_owner(api: APIClient, person: Any) -> None:
    schedule = create(api)
    assert running.run_due() == {}
    make_due()
    assert tasks.submit_scheduled() == {"submitted": 1}
    assert running.run_due() == {}
    (operation,) = Operation.objects.all()
    assert (operation.created_by, operation.parameters) == (person, {"seconds": 1})
    assert Event.objects.get(operation=operation).actor == "schedule:nightly"
    schedule.refresh_from_db()
    assert schedule.last_operation == operation
    assert schedule.next_run_at > saving.database_time()
    at = f"/schedules/{schedule.schedule_id}"
    assert api.get(at).json()["last_operation_id"] == operation.pk
    (run,) = api.get(f"{at}/runs").json()["results"]
    assert (run["outcome"], run["operation_id"]) == ("submitted", operation.pk)


@pytest.mark.django_db(transaction=True)
def test_two_leaders_submit_a_due_time_once(api: APIClient) -> None:
    for number in range(5):
        create(api, name=f"schedule {number}")
    make_due()
    results = at_once(*[running.run_due] * 3)
    assert sum(result.get("submitted", 0) for result in results) == 5
    assert Operation.objects.count() == 5
    assert outcomes() == ["submitted"] * 5


def test_a_leader_with_an_old_reading_does_nothing(api: APIClient) -> None:
    create(api)
    make_due()
    (old,) = running._due()
    assert running._handle(old) == "submitted"
    assert running._handle(old) == "taken"
    assert Operation.objects.count() == 1


@pytest.mark.parametrize(
    ("is_active", "outcome"), [(False, "paused"), (True, "submitted")], ids=["owner", "last operation"]
)
def test_what_changes_before_a_schedule_has_its_turn_counts(
    api: APIClient, person: Any, monkeypatch: pytest.MonkeyPatch, is_active: bool, outcome: str
) -> None:
    """A round may last ten seconds: meanwhile an owner is deactivated, or the last operation ends."""
    create(api, name="first")
    make_due()
    second = create(api, name="second")
    last = OperationFactory()
    Schedule.objects.filter(pk=second.pk).update(last_operation=None if not is_active else last)
    make_due()
    Schedule.objects.filter(name="first").update(next_run_at=F("next_run_at") - timedelta(seconds=1))
    submit = running.submit

    def change_after_it(*arguments: Any) -> Operation:
        monkeypatch.undo()
        User.objects.update(is_active=is_active)
        Operation.objects.filter(pk=last.pk).update(status="COMPLETED", completed_at=Now())
        return submit(*arguments)

    monkeypatch.setattr(running, "submit", change_after_it)
    assert Counter(running.run_due()) == Counter(["submitted", outcome])


@pytest.mark.parametrize("failures", [0, running.MAX_FAILURES - 1])
def test_of_two_leaders_whose_submission_fails_one_notes_it(
    api: APIClient, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(api)
    CapabilityFactory(parameters_schema=SCHEMA).delete()
    make_due()
    Schedule.objects.update(failures=failures)
    (first,), (second,) = running._due(), running._due()
    set_back = running._set_back

    def let_the_other_end_first(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        assert running._handle(second) == "failed"
        set_back(*arguments, **options)

    monkeypatch.setattr(running, "_set_back", let_the_other_end_first)
    assert running._handle(first) == "failed"
    assert outcomes() == ["failed"]


@pytest.mark.django_db(transaction=True)
def test_schedules_that_are_created_at_the_same_moment_are_counted(
    api: APIClient, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "MAX_SCHEDULES", 1)
    first = partial(saving.create, ScheduleRequest(**BODY), Submitter(user=person))
    answer = act_before_commit_of(first, lambda: api.post("/schedules", {**BODY, "name": "second"}))
    assert answer.status_code == 409
    assert Schedule.objects.get().name == "nightly"


@pytest.mark.parametrize(("rule", "outcome"), [("once", "submitted"), ("skip", "skipped")])
def test_times_missed_while_the_backend_was_down_follow_the_rule(
    api: APIClient, rule: str, outcome: str
) -> None:
    create(api, catch_up=rule, cron="*/10 * * * *")
    make_due(late=timedelta(hours=5))
    assert running.run_due() == {outcome: 1}
    assert running.run_due() == {}
    assert outcomes() == [outcome]


def test_a_time_that_is_hardly_late_is_not_missed(api: APIClient) -> None:
    create(api, catch_up="skip")
    make_due(late=running.LATE_AFTER - timedelta(minutes=1))
    assert running.run_due() == {"submitted": 1}


def test_a_last_operation_that_has_not_ended_skips_the_time(api: APIClient) -> None:
    create(api)
    make_due()
    running.run_due()
    make_due()
    assert running.run_due() == {"skipped": 1}
    run = ScheduleRun.objects.first()
    assert run is not None
    assert "had not ended" in run.detail
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("catch_up", ["once", "skip"])
def test_a_queued_time_is_submitted_when_the_last_operation_has_ended(api: APIClient, catch_up: str) -> None:
    schedule = create(api, overlap="queue", catch_up=catch_up)
    make_due()
    running.run_due()
    first = Operation.objects.get()
    make_due()
    assert running.run_due() == {"waiting": 1}
    assert running.run_due() == {}
    make_due(late=timedelta(hours=2))  # other times passed meanwhile
    api.delete(f"/operations/{first.pk}/cancel")
    assert running.run_due() == {"submitted": 1}
    assert Operation.objects.count() == 2
    schedule.refresh_from_db()
    assert not schedule.waits_for_last


def test_a_paused_schedule_submits_nothing_and_continues_with_the_next_time(api: APIClient) -> None:
    schedule = create(api)
    make_due()
    api.post(f"/schedules/{schedule.schedule_id}/pause", {})
    assert running.run_due() == {}
    api.post(f"/schedules/{schedule.schedule_id}/resume", {})
    assert running.run_due() == {}
    schedule.refresh_from_db()
    assert schedule.next_run_at > saving.database_time()


def test_new_times_hold_from_now_on(api: APIClient) -> None:
    schedule = create(api)
    make_due()
    api.patch(f"/schedules/{schedule.schedule_id}", {"name": "renamed"})
    assert running.run_due() == {"submitted": 1}
    make_due()
    api.patch(f"/schedules/{schedule.schedule_id}", {"time_zone": "Asia/Tokyo"})
    assert running.run_due() == {}


def test_an_owner_who_may_not_submit_pauses_the_schedule(api: APIClient, person: Any) -> None:
    create(api, name="one")
    create(api, name="two")
    Schedule.objects.filter(name="one").update(next_run_at=saving.database_time())
    person.is_active = False
    person.save()
    assert running.run_due() == {"paused": 1}
    assert Schedule.objects.get(name="one").pause_reason == "Its owner researcher is deactivated."
    person.is_active = True
    person.save()
    person.groups.clear()
    Schedule.objects.filter(name="two").update(next_run_at=saving.database_time())
    assert running.run_due() == {"paused": 1}
    assert "requires the role operator" in Schedule.objects.get(name="two").pause_reason
    assert not Operation.objects.exists()
    assert AuditEntry.objects.filter(act="schedule_paused", actor="schedules").count() == 2


def test_a_refused_submission_is_tried_again_and_pauses_in_the_end(api: APIClient) -> None:
    schedule = create(api)
    CapabilityFactory(parameters_schema=SCHEMA).delete()  # no worker knows the type any more
    make_due()
    pauses = []
    for _ in range(running.MAX_FAILURES - 1):
        assert running.run_due() == {"failed": 1}
        assert running.run_due() == {}
        schedule.refresh_from_db()
        run = ScheduleRun.objects.first()
        assert schedule.not_before is not None
        assert run is not None
        pauses.append(round((schedule.not_before - run.at).total_seconds() / 60))
        Schedule.objects.update(not_before=saving.database_time())
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert "No worker has ever announced" in schedule.problem
    assert schedule.paused_at is None
    assert running.run_due() == {"failed": 1}
    schedule.refresh_from_db()
    assert schedule.pause_reason.startswith("10 submissions in a row failed: No worker")
    assert outcomes() == ["failed"] * 10
    CapabilityFactory(parameters_schema=SCHEMA)
    api.post(f"/schedules/{schedule.schedule_id}/resume", {})
    make_due()
    assert running.run_due() == {"submitted": 1}
    schedule.refresh_from_db()
    assert (schedule.failures, schedule.problem) == (0, "")


def test_the_limits_of_the_owner_apply_and_never_pause(api: APIClient, person: Any, settings: Any) -> None:
    schedule = create(api)
    settings.MAX_PENDING_PER_USER = 1
    OperationFactory(created_by=person)
    make_due()
    for _ in range(running.MAX_FAILURES + 2):
        assert running.run_due() == {"failed": 1}
        Schedule.objects.update(not_before=None)
    schedule.refresh_from_db()
    assert schedule.paused_at is None
    assert "pending operations" in schedule.problem
    assert quotas.allowance_of(person).max_pending == 1


def test_one_bad_schedule_harms_only_itself(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function that handles one schedule is broken for the victim, one after the other."""
    for name in ("_run", "_submit", "_take", "_record", "build", "submit", "next_time", "owner_refusal"):
        Schedule.objects.all().delete()
        Operation.objects.all().delete()
        create(api, name="victim", operation={**ECHO, "parameters": {"seconds": 666}}, cron="6 6 6 6 *")
        create(api, name="other")
        Schedule.objects.filter(name="victim").update(
            next_run_at=saving.database_time() - timedelta(minutes=2)
        )
        Schedule.objects.filter(name="other").update(next_run_at=saving.database_time())
        with monkeypatch.context() as patch:
            patch.setattr(running, name, broken_for_victim(getattr(running, name)))
            counts = running.run_due()
        assert counts == {"failed": 1, "submitted": 1}, name
        (operation,) = Operation.objects.all()
        assert operation.parameters == {"seconds": 1}
        victim = Schedule.objects.get(name="victim")
        # Without its log the failure is not stored either; the due time is not lost.
        assert victim.problem == ("" if name == "_record" else running.DEFECT), name
        assert victim.next_run_at < saving.database_time(), name


def broken_for_victim(function: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        text = " ".join(
            [
                *map(str, args),
                *(str(getattr(value, "submission", "")) for value in args),
                *(str(getattr(value, "parameters", "")) for value in args),
            ]
        )
        is_victim = "victim" in text or "666" in text or "6 6 6 6" in text
        # The owner is the same person for both; the victim comes first.
        is_first = function.__name__ == "owner_refusal" and not Operation.objects.exists() and not calls
        calls.append(1)
        if is_victim or is_first:
            raise RuntimeError("broken")
        return function(*args, **kwargs)

    calls: list[int] = []
    return run


def test_a_round_ends_in_time_and_the_rest_is_due_in_the_next(api: APIClient) -> None:
    create(api, name="one")
    create(api, name="two")
    make_due()
    assert running.run_due(lasts_s=-1) == {}
    assert running.run_due() == {"submitted": 2}


def test_a_read_only_site_submits_nothing_and_catches_up_afterwards(api: APIClient) -> None:
    create(api)
    make_due(late=timedelta(hours=1))
    dispatch_pauses.begin(Actor("user:me"), "new disk", read_only=True)
    assert running.run_due() == {}
    dispatch_pauses.end(Actor("user:me"))
    assert running.run_due() == {"submitted": 1}


def test_the_log_is_bounded(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "KEPT_RUNS", 3)
    create(api, catch_up="skip")
    for number in range(5):
        make_due(late=timedelta(hours=9 - number))
        assert running.run_due() == {"skipped": 1}
    assert ScheduleRun.objects.count() == 3


def test_a_clock_that_was_set_back_moves_the_next_time_back(api: APIClient) -> None:
    schedule = create(api, cron="0 * * * *")
    Schedule.objects.update(next_run_at=F("next_run_at") + timedelta(days=365))
    assert clock_steps.repair_timestamps() == 1
    schedule.refresh_from_db()
    assert schedule.next_run_at - saving.database_time() <= timedelta(hours=1)
    assert clock_steps.repair_timestamps() == 0


def test_an_operation_of_a_schedule_can_be_removed(api: APIClient) -> None:
    schedule = create(api)
    make_due()
    running.run_due()
    Operation.objects.get().delete()
    schedule.refresh_from_db()
    assert schedule.last_operation is None
    make_due()
    assert running.run_due() == {"submitted": 1}


# Commands


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
