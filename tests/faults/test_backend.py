"""Processes of the backend die while operations are submitted and run: nothing is lost, and somebody takes over."""

import signal

import pytest

from tests.calibration import stretched
from tests.faults.processes import signal_all
from tests.faults.system import System
from tests.waiting import until, until_gone


def begin(system: System, number: int = 6, seconds: float = 0.6) -> list[str]:
    """More than there are workers, so that some are waiting and some run."""
    return [system.api.submit(seconds=seconds) for _ in range(number)]


def until_completed(system: System, operations: list[str]) -> None:
    for operation_id in operations:
        system.api.until_status(operation_id, "COMPLETED")
        assert system.marks.count("start", operation_id) == 1, "it was tried again without need"


def test_killed_web_processes_are_replaced_and_no_operation_notices(system: System) -> None:
    operations = begin(system)
    for child in system.processes.tree("web")[1:]:
        child.kill()
    until(system.api.answers, "the web server answers again", 20)
    until_completed(system, operations)


def test_a_web_server_that_is_away_for_a_while_gets_the_reports_afterwards(system: System) -> None:
    """Lesson W16: jobs end while nobody listens; the agents keep what they have to say."""
    operations = begin(system, 4, 3)
    for operation_id in operations:
        system.api.until_running(operation_id)
    below = system.processes.kill("web")
    until_gone(below, "its processes end with it", 5)
    until(lambda: all(system.marks.count("end", one) for one in operations), "every job ended")
    system.start_web()
    until_completed(system, operations)


def test_a_killed_dispatcher_leaves_nothing_half_done_for_the_next_one(system: System) -> None:
    operations = begin(system, 8)
    until(lambda: len(system.marks.all("start")) > 0, "something has begun")
    system.processes.kill("dispatcher")
    operations += begin(system, 2)
    system.start_dispatcher()
    until_completed(system, operations)


def test_two_dispatchers_of_which_one_is_killed_start_nothing_twice(system: System) -> None:
    system.start_dispatcher("second dispatcher")
    operations = begin(system, 10, 0.3)
    system.processes.kill("dispatcher")
    until_completed(system, operations)


def test_a_cancel_while_no_dispatcher_lives_is_carried_out_by_the_next_one(system: System) -> None:
    operation = system.api.submit(seconds=30)
    worker_id = system.api.until_running(operation)["worker_id"]
    job = system.job(worker_id, operation)
    system.processes.kill("dispatcher")
    assert system.api.cancel(operation) == 202
    system.start_dispatcher()
    system.api.until_status(operation, "CANCELLED")
    until_gone([job], "the job ends", 5)


def test_the_schedules_second_process_takes_over_when_the_leader_is_killed(system: System) -> None:
    """Lesson W12."""
    cluster = system.cluster()  # without one, the second process would lead at once
    system.start_schedules("schedules in waiting")
    system.processes.kill("schedules")
    until_gone(cluster.values(), "the leader's cluster ends with it", 10)
    operations = begin(system)
    system.until_sweeps(2, 20)
    until_completed(system, operations)


@pytest.mark.slow
def test_a_suspended_leader_of_the_schedules_is_replaced_and_does_not_return(system: System) -> None:
    """Lessons W12, W16: its process lives, its session too, and it believes that it still leads when it thaws."""
    cluster = system.cluster()  # without one, the second process would lead at once
    system.start_schedules("schedules in waiting")
    frozen = [system.processes.tree("schedules")[0], *cluster.values()]
    signal_all(frozen, signal.SIGSTOP)
    try:
        operations = begin(system)
        system.until_sweeps(2, 90)  # a sweep that was frozen holds its lock for 45 s
        until_completed(system, operations)
        assert leader(system) == system.processes.pid("schedules in waiting")
    finally:
        signal_all(frozen, signal.SIGCONT)
    until(lambda: len(system.processes.tree("schedules")) == 1, "the old leader has stopped its cluster")
    assert leader(system) == system.processes.pid("schedules in waiting")


def leader(system: System) -> int:
    """Return the process id of the leader of the schedules."""
    ((holder,),) = system.rows("SELECT holder FROM registry_lease WHERE name = 'schedules'")
    return int(holder.split(":")[1])


@pytest.mark.parametrize(
    "kind",
    [
        "worker",
        "sentinel",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("monitor", "pusher")),
    ],
)
def test_sweeps_go_on_after_a_process_of_the_task_cluster_is_killed(system: System, kind: str) -> None:
    """Lessons W3, W4: some of them leave a cluster that lives and does nothing; the newest sweep tells."""
    fresh_cluster(system)
    operations = begin(system)
    system.cluster()[kind].kill()
    system.until_sweeps(3, 25)
    until_completed(system, operations)


def fresh_cluster(system: System) -> None:
    """The order of its processes' starts tells what they are; whoever was replaced came later."""
    family = system.cluster()
    began = [one.create_time() for one in family.values()]
    if max(began) - min(began) > stretched(5):
        family["sentinel"].kill()
        until(lambda: not family["sentinel"].is_running(), "the old cluster is gone")
        system.cluster()
        system.until_sweeps(1)


@pytest.mark.slow
def test_a_cluster_told_to_end_all_at_once_is_replaced(system: System) -> None:
    """Lesson W5: SIGTERM to each of its processes may hang it; sweeps go on all the same."""
    operations = begin(system)
    for process in system.cluster().values():
        process.send_signal(signal.SIGTERM)
    system.until_sweeps(3, 25)
    until_completed(system, operations)


@pytest.mark.slow
def test_a_frozen_cluster_is_replaced(system: System) -> None:
    """Lesson W3: every process alive, no sweep."""
    operations = begin(system)
    cluster = system.cluster()
    for process in cluster.values():
        process.send_signal(signal.SIGSTOP)
    until(lambda: not cluster["sentinel"].is_running(), "the frozen cluster is gone", 30, system.logs)
    system.until_sweeps(2, 20)
    until_completed(system, operations)
