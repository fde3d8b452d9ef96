"""Everything that a study needs dies while it runs: no trial is lost or counted twice, and the results stay the same.

Each study here has the same spec: it has to end with the same trials and the same report, whatever happens to it.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.laboratory import (
    TRAINED_STRATEGY,
    TRAINED_STUDY,
    TRIALS,
    WORKERS,
    Laboratory,
    laboratory,
    number_of,
)
from tests.faults.system import System
from tests.waiting import until, until_gone

EARLY = 10
"""Trials evaluated before something dies: the first batch is over, and others run."""


@pytest.fixture(scope="module")
def shared_laboratory(shared_system: System) -> Iterator[Laboratory]:
    with laboratory(shared_system) as found:
        yield found


@pytest.fixture
def lab(shared_laboratory: Laboratory, system: System) -> Laboratory:
    return shared_laboratory


@pytest.fixture(scope="module")
def calm(shared_laboratory: Laboratory) -> dict[str, Any]:
    """The outcome of the study on one worker, undisturbed."""
    system = shared_laboratory.system
    with system.api.http() as http:
        for name in WORKERS[1:]:
            assert http.post(f"/workers/{name}/cordon").status_code == 200
        study_id = shared_laboratory.start()
        outcome = shared_laboratory.until_completed(study_id)
        shared_laboratory.judge(study_id, outcome, repeated=False)
        for name in WORKERS[1:]:
            assert http.post(f"/workers/{name}/uncordon").status_code == 200
    assert len({mark.rest[0] for mark in shared_laboratory.marks(study_id, "start")}) == 1
    return outcome


def test_three_workers_give_the_results_of_one(lab: Laboratory, calm: dict[str, Any]) -> None:
    study_id = lab.start()
    assert lab.until_completed(study_id) == calm
    lab.judge(study_id, calm, repeated=False)
    assert len({mark.rest[0] for mark in lab.marks(study_id, "start")}) > 1, "one worker did everything"


def kill_job(lab: Laboratory, study_id: str) -> None:
    lab.until_job(study_id, EARLY)[0].kill()


def kill_worker(lab: Laboratory, study_id: str) -> None:
    lab.system.processes.kill(lab.until_job(study_id, EARLY)[1])


@pytest.mark.parametrize("kill", [kill_job, kill_worker])
def test_a_batch_whose_process_is_killed_goes_on_from_its_checkpoint(
    lab: Laboratory, calm: dict[str, Any], kill: Callable[[Laboratory, str], None]
) -> None:
    study_id = lab.start()
    kill(lab, study_id)
    assert lab.until_completed(study_id) == calm
    lab.judge(study_id, calm, repeated=True)


@pytest.fixture(scope="module")
def calm_trainings(shared_laboratory: Laboratory) -> tuple[dict[str, Any], Counter[int]]:
    """The outcome and the epochs of the study of trainings, one training after the other, undisturbed."""
    study_id = shared_laboratory.start(TRAINED_STUDY, TRAINED_STRATEGY)
    outcome = shared_laboratory.until_completed(study_id)
    epochs = epochs_of(shared_laboratory, study_id)
    assert Counter(row["state"] for row in outcome["trials"]) == {"completed": 2, "stopped_early": 2}
    assert epochs.keys() == {row["number"] for row in outcome["trials"]}
    return outcome, epochs


@pytest.mark.parametrize("at_once", [1, 8])
def test_a_study_of_trainings_whose_job_and_worker_are_killed_repeats_no_epoch_that_was_saved(
    lab: Laboratory, calm_trainings: tuple[dict[str, Any], Counter[int]], at_once: int
) -> None:
    calm, undisturbed = calm_trainings
    stuck, stacked = (lab.system.directory / name for name in ("stuck", "stacked"))
    stacked.write_text(str(at_once))
    stuck.touch()
    try:
        study_id = lab.start(TRAINED_STUDY, TRAINED_STRATEGY)
        lab.until_saved(study_id)[0].kill()
        until(lambda: lab.marks(study_id, "resumed"), "its batch continues", 40, lambda: lab.story(study_id))
        job, worker = lab.until_saved(study_id)
        lab.system.processes.kill(worker)
        until_gone([job], "the worker's job ends", 20)  # it would go on with an epoch that nobody saves
        stuck.unlink()
        assert lab.until_completed(study_id) == calm
    finally:
        stuck.unlink(missing_ok=True)
        stacked.unlink()
    assert bool(lab.marks(study_id, "stacked")) == (at_once > 1)
    assert len({mark.operation_id for mark in lab.marks(study_id, "resumed")}) >= 2
    assert epochs_of(lab, study_id) == undisturbed
    assert not lab.marks(study_id, "overlap")


def epochs_of(lab: Laboratory, study_id: str) -> Counter[int]:
    """Return how many epochs ran for each trial, whether they counted or not."""
    return Counter(number_of(mark) for mark in lab.marks(study_id, "epoch"))


def kill_run_studies(lab: Laboratory) -> None:
    lab.system.processes.kill("studies")
    lab.system.start_studies()


def kill_web(lab: Laboratory) -> None:
    lab.system.processes.kill("web")
    lab.system.start_web()


def kill_dispatcher(lab: Laboratory) -> None:
    lab.system.processes.kill("dispatcher")
    lab.system.start_dispatcher()


def kill_database(lab: Laboratory) -> None:
    postmaster = lab.system.postmaster()
    postmaster.send_signal(signal.SIGQUIT)
    until_gone([postmaster], "the database server ends", 20)
    lab.system.manage("check", "--database", "default")  # whoever uses the embedded database first starts it


@pytest.mark.parametrize("kill", [kill_run_studies, kill_web, kill_dispatcher, kill_database])
def test_a_process_of_the_backend_that_is_killed_costs_no_trial(
    lab: Laboratory, calm: dict[str, Any], kill: Callable[[Laboratory], None]
) -> None:
    study_id = lab.start()
    lab.until_evaluated(study_id, EARLY)
    kill(lab)
    assert lab.until_completed(study_id) == calm
    lab.judge(study_id, calm, repeated=False)


def test_a_trial_that_ends_its_job_three_times_is_isolated_and_the_others_go_on(
    lab: Laboratory, calm: dict[str, Any]
) -> None:
    poison = TRIALS - 2
    (lab.system.directory / "deadly").write_text(str(poison))
    try:
        study_id = lab.start()
        outcome = lab.until_completed(study_id)
    finally:
        (lab.system.directory / "deadly").unlink()
    lab.judge(study_id, outcome, repeated=True)
    row = outcome["trials"].pop(poison)
    assert row["state"] == "failed"
    assert row["error"].startswith("out_of_memory: ")
    assert outcome["trials"] == [row for row in calm["trials"] if row["number"] != poison]
    deaths = [mark for mark in lab.marks(study_id, "trial") if number_of(mark) == poison]
    assert len({(mark.operation_id, mark.attempt) for mark in deaths}) >= 3


def test_a_study_in_which_everything_is_killed_once_ends_with_the_same_results(
    lab: Laboratory, calm: dict[str, Any]
) -> None:
    study_id = lab.start()
    lab.until_evaluated(study_id, EARLY)
    lab.system.kill_everything()
    lab.system.heal()
    until(lambda: lab.study(study_id)["status"] != "no answer", "the backend answers")
    assert lab.until_completed(study_id) == calm
    lab.judge(study_id, calm, repeated=True)
