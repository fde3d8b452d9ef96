"""Due schedules: exactly one submission for each time, the rules for missed ones, and isolation."""

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.test import APIClient

from access.models import AuditEntry
from operations import clock_steps, dispatch_pauses, quotas, tasks
from operations.actors import Actor
from operations.insertion import Submitter
from operations.models import Event, Operation, Schedule, ScheduleRun
from operations.schedules import running, saving
from operations.schedules.requests import ScheduleRequest
from tests.factories import CapabilityFactory, OperationFactory
from tests.interleaving import act_before_commit_of
from tests.operations.test_at_once import at_once
from tests.operations.user_schedules import BODY, ECHO, SCHEMA, create, echo, make_due, outcomes

__all__ = ["echo"]
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.urls")]


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
