"""Trials and batches that fail: what is repeated, isolated or counted, and when a study pauses."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import Operation
from studies import failures
from studies.models import Study, StudyBatch
from studies.rounds import Leader
from tests.studies.lab import STUDY, claim, fail, finish, work
from tests.studies.test_studies import Body, create
from worker_agent.protocol import ErrorClass


def test_a_batch_whose_worker_dies_is_halved_until_the_trial_is_isolated(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    for _ in range(200):
        leader.tick()
        if (claimed := claim()) is None:
            break
        numbers = [trial["number"] for trial in claimed[0].parameters.get("trials", [])]
        if 5 in numbers:
            fail(*claimed)
        else:
            finish(*claimed)
    study = api.get(url).json()
    assert (study["status"], study["trials"]["completed"], study["trials"]["failed"]) == ("COMPLETED", 39, 1)
    (failed,) = api.get(f"{url}/trials?state=failed").json()["results"]
    assert (failed["number"], failed["error"]) == (5, "out_of_memory: killed")


@pytest.mark.parametrize("error_class", [ErrorClass.JOB, ErrorClass.OUT_OF_MEMORY])
@pytest.mark.parametrize("trials", [1, 40])
def test_a_job_that_dies_in_the_middle_of_a_step_is_continued_by_the_next_one(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch, trials: int, error_class: ErrorClass
) -> None:
    url = create(api, {**body, "study_yaml": STUDY.replace("trials: 40", f"trials: {trials}")})["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    resume_killed = failures.resume_killed

    def fail_after_it(study: Study) -> None:
        resume_killed(study)
        fail(*claimed, error_class)

    with monkeypatch.context() as patch:
        patch.setattr(failures, "resume_killed", fail_after_it)
        leader.tick()
    batch = StudyBatch.objects.get(operation_id=claimed[0].pk)
    assert (batch.is_open, Operation.objects.get(pk=claimed[0].pk).status) == (True, "FAILED")
    work(leader)
    study = api.get(url).json()
    assert (study["status"], study["trials"]["completed"]) == ("COMPLETED", trials)
    operation = Operation.objects.get(pk=claimed[0].pk)
    assert (operation.status, operation.attempt) == ("COMPLETED", 2)


def test_a_job_that_dies_while_its_study_is_paused_for_another_one_is_continued(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(api, body)["url"]
    Study.objects.update(parallel=2)
    leader = Leader()
    leader.tick()
    first = claim()
    assert first is not None
    finish(*first)
    leader.tick()
    cancelled, dying = claim(), claim()
    assert cancelled is not None
    assert dying is not None
    fail(*cancelled, ErrorClass.INVALID)
    failed_batches = failures.failed_batches

    def let_it_die(study: Study) -> list[StudyBatch]:
        batches = failed_batches(study)
        fail(*dying)
        return batches

    with monkeypatch.context() as patch:
        patch.setattr(failures, "failed_batches", let_it_die)
        leader.tick()
    assert api.get(url).json()["status"] == "PAUSED"
    assert StudyBatch.objects.filter(operation_id=dying[0].pk, is_open=True).exists()
    api.post(f"{url}/resume")
    work(leader)
    operation = Operation.objects.get(pk=dying[0].pk)
    assert (operation.status, operation.attempt) == ("COMPLETED", 2)
    assert api.get(url).json()["trials"]["completed"] == 40


def test_too_many_failures_pause_with_the_commonest_errors(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    finish(*claimed, lambda trial: ("failed", None))
    leader.tick()
    study = api.get(url).json()
    assert study["status"] == "PAUSED"
    assert study["waiting_reason"] == "8 of the last 8 trials failed: no rows (8x)"
    api.post(f"{url}/resume")
    work(leader)
    assert api.get(url).json()["status"] == "COMPLETED", "failures before the resumption do not count"


def test_rejected_parameters_pause_the_study_at_once(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    claimed = claim()
    assert claimed is not None
    fail(*claimed, ErrorClass.INVALID)
    leader.tick()
    assert api.get(url).json()["waiting_reason"] == "Every batch would fail: killed"
    api.post(f"{url}/resume")
    work(leader)
    assert api.get(url).json()["trials"]["completed"] == 40


def test_trials_without_a_value_are_never_best(api: APIClient, body: Body) -> None:
    url = create(api, body)["url"]
    work(Leader(), lambda trial: ("completed", None))
    study = api.get(url).json()
    assert (study["status"], study["best"], study["trials"]["completed"]) == ("COMPLETED", None, 40)


def test_a_study_that_raises_harms_only_itself(
    api: APIClient, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = create(api, body)["study_id"]
    good = create(api, body)["study_id"]
    leader = Leader()
    known = Study.objects.get(study_id=bad).pk

    class Broken:
        def propose(self, study: Study, first: int, count: int) -> list[Any]:
            raise RuntimeError("broken")

    leader.proposers[known] = Broken()
    monkeypatch.setattr(
        "studies.rounds.new_proposer", lambda study: Broken() if study.pk == known else _real(study)
    )
    monkeypatch.setattr("studies.rounds.LONGEST_BACKOFF_S", 0.0)
    work(leader)
    assert api.get(f"/studies/{good}").json()["status"] == "COMPLETED"
    study = api.get(f"/studies/{bad}").json()
    assert study["status"] == "PAUSED"
    assert study["waiting_reason"] == "An unexpected error of the backend: RuntimeError: broken"


def _real(study: Study) -> Any:
    from studies.proposing import new_proposer

    return new_proposer(study)
