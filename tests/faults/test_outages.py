"""The database goes away under load, or everything does at once; nobody helps but by starting it again."""

import signal

from tests.faults.system import System
from tests.waiting import until, until_gone


def start_jobs(system: System, operations: list[str]) -> set[str]:
    """Those whose job has said so itself: on a busy machine a short one is over before anybody sees it RUNNING."""
    return {mark.operation_id for mark in system.marks.all("start")} & set(operations)


def test_a_database_that_is_stopped_at_once_under_load_loses_nothing(system: System) -> None:
    """Lesson W16: `immediate` is a crash for PostgreSQL. Jobs go on, end, and are reported when it is back."""
    operations = [system.api.submit(seconds=1.0) for _ in range(8)]
    until(lambda: start_jobs(system, operations), "one has begun")
    postmaster = system.postmaster()
    postmaster.send_signal(signal.SIGQUIT)
    until_gone([postmaster], "the database server ends", 20)
    ending = start_jobs(system, operations)
    until(lambda: all(system.marks.count("end", one) for one in ending), "what had begun has ended", 20)
    system.manage("check", "--database", "default")  # whoever uses the embedded database first starts it
    for operation_id in operations:
        system.api.until_status(operation_id, "COMPLETED")


def test_a_system_that_is_killed_as_a_whole_goes_on_where_it_was(system: System) -> None:
    """Lessons W27 and W28: what there is to know lies in the database and on the agents' disks.

    The jobs are long: on a busy machine the power fails seconds late, and one that had ended a moment before, with its
    report not on disk yet, would rightly run to its end again.
    """
    operations = [system.api.submit(seconds=6, checkpoint_every=10) for _ in range(6)]
    until(lambda: start_jobs(system, operations), "one has begun")
    system.kill_everything()
    system.heal()
    for operation_id in operations:
        system.api.until_status(operation_id, "COMPLETED")
