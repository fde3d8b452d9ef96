"""A process that dies while it cancels a study: the next round finishes it, wherever it died."""

import pytest
from rest_framework.test import APIClient

from operations import interventions
from operations.actors import Actor
from operations.models import Operation
from operations.states import Status
from studies import lifecycle
from studies.models import Study
from studies.rounds import Leader
from studies.states import StudyStatus
from tests.studies.lab import TYPES, claim, finish
from tests.studies.test_studies import Body, create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("ktrdr_site.urls")]
ME = Actor("user:test")


class Died(BaseException):
    """The process ends: nothing handles it."""


@pytest.fixture
def leader(api: APIClient, body: Body) -> Leader:
    """Of a study that has submitted a batch."""
    create(api, body)
    leader = Leader()
    leader.tick()
    return leader


def until_reporting(leader: Leader) -> None:
    for _ in range(100):
        leader.tick()
        if Study.objects.get().status == StudyStatus.REPORTING:
            return
        if claimed := claim():
            finish(*claimed)
    raise AssertionError("the study does not come to its report")


def unfinished() -> list[str]:
    own = Operation.objects.filter(operation_type__in=TYPES)
    return list(
        own.exclude(status__in=(Status.COMPLETED, Status.CANCELLED)).values_list("operation_type", flat=True)
    )


@pytest.mark.parametrize("is_reporting", [False, True], ids=["batches", "report"])
def test_the_next_round_cancels_what_a_dead_process_left(
    leader: Leader, is_reporting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_reporting:
        until_reporting(leader)
    left = unfinished()
    assert set(left) == ({"study_report"} if is_reporting else {"study_batch"})

    def die(*arguments: object) -> None:
        raise Died

    study_id = Study.objects.get().study_id
    with monkeypatch.context() as patched:
        patched.setattr(interventions, "cancel", die)
        with pytest.raises(Died):
            lifecycle.cancel(study_id, ME)
    assert unfinished()
    leader.tick()
    assert not unfinished()
    assert Study.objects.get().status == StudyStatus.CANCELLED


def test_an_operation_that_was_deleted_meanwhile_stops_no_cancellation(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.objects.get()
    own, first = list(lifecycle.live_operations(study)), Operation.objects.all()
    gone = min(own)
    first.filter(pk=gone).update(
        status=Status.CANCELLED, completed_at=study.created_at, deleted_at=study.created_at
    )
    monkeypatch.setattr(lifecycle, "live_operations", lambda study: own)
    lifecycle.cancel(study.study_id, ME)
    assert not unfinished()
