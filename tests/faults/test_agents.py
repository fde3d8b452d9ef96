"""An agent dies, leaves, restarts, freezes, or is not the only one of its name."""

import os
import signal

import httpx
import pytest

from tests.calibration import stretched
from tests.faults.api import outcomes
from tests.faults.processes import free_port, signal_all
from tests.faults.system import System
from tests.waiting import until, until_gone
from worker_agent.protocol import PROTOCOL_VERSION


def test_an_operation_of_a_killed_agent_goes_on_elsewhere_from_its_checkpoint(system: System) -> None:
    """Lessons W6, W28."""
    operation = system.api.submit(seconds=4, checkpoint_every=10)
    victim = system.api.until_running(operation)["worker_id"]
    job = system.job(victim, operation)
    until(lambda: kept_checkpoints(system, operation) >= 2, "two checkpoints are kept")
    system.processes.kill(victim)
    until_gone([job], "the job ends with its agent", 5)
    ended = system.api.until_status(operation, "COMPLETED")
    assert ended["worker_id"] != victim
    assert outcomes(ended) == ["lost", "completed"]
    assert int(system.marks.all("resumed", operation)[0].rest[0]) >= 20


def kept_checkpoints(system: System, operation_id: str) -> int:
    return sum(event["kind"] == "checkpoint" for event in system.api.events(operation_id))


def test_an_agent_that_restarts_within_three_seconds_gives_its_operation_back_at_its_registration(
    system: System,
) -> None:
    """Lessons W13, W32: a new incarnation of the same name runs nothing of the old one's."""
    operation = system.api.submit(seconds=2, requirements={})
    victim = system.api.until_running(operation)["worker_id"]
    before = system.api.worker(victim)
    system.processes.kill(victim)
    system.start_agent(victim)
    ended = system.api.until_status(operation, "COMPLETED")
    lost = next(one for one in ended["attempts"] if one["outcome"] == "lost")
    assert "restarted" in lost["error"]
    after = system.api.worker(victim)
    assert before is not None
    assert after is not None
    assert after["instance_id"] != before["instance_id"]
    waited = system.rows(
        "SELECT extract(epoch FROM a.ended_at - w.registered_at) FROM operations_attempt a JOIN registry_worker w"
        f" ON w.worker_id = a.worker_id WHERE a.operation_id = '{operation}' AND a.outcome = 'lost'"
    )[0][0]
    assert waited < stretched(2), f"given back {waited} s after the registration"


def test_an_agent_told_to_end_hands_its_operation_over_and_is_deregistered(system: System) -> None:
    """Lesson W30."""
    operation = system.api.submit(seconds=1.5)
    victim = system.api.until_running(operation)["worker_id"]
    system.job(victim, operation)
    below = system.processes.kill(victim, signal.SIGTERM, wait_s=8)
    until_gone(below, "all of its processes end with it", 2)
    assert system.api.worker(victim) is None, "it did not deregister"
    ended = system.api.until_status(operation, "COMPLETED")
    assert outcomes(ended) == ["interrupted", "completed"]


def test_a_worker_whose_processes_are_all_told_to_end_leaves_in_order_too(system: System) -> None:
    """Lesson W5: as a service manager does it, the job hears it before its agent."""
    operation = system.api.submit(seconds=1.5)
    victim = system.api.until_running(operation)["worker_id"]
    system.job(victim, operation)
    family = system.processes.tree(victim)
    signal_all(family[::-1], signal.SIGTERM)
    until_gone(family, "all of its processes end", 10)
    ended = system.api.until_status(operation, "COMPLETED")
    assert outcomes(ended) == ["interrupted", "completed"]


def test_a_group_told_to_end_all_at_once_leaves_in_order_too(system: System) -> None:
    """As a terminal does it: agent and fork server hear it together, the job from its agent."""
    operation = system.api.submit(seconds=1.5)
    victim = system.api.until_running(operation)["worker_id"]
    job = system.job(victim, operation)
    system.processes.signal_group(victim, signal.SIGTERM, wait_s=10)
    until_gone([job], "the job ends with its agent", 2)
    ended = system.api.until_status(operation, "COMPLETED")
    assert outcomes(ended) == ["interrupted", "completed"]
    assert system.marks.count("cancelled", operation) == 1, "the job was not asked"


def test_an_operation_whose_fork_server_is_killed_is_tried_again(system: System) -> None:
    operation = system.api.submit(seconds=1.5)
    victim = system.api.until_running(operation)["worker_id"]
    parent = system.job(victim, operation).parent()
    assert parent is not None
    parent.kill()
    ended = system.api.until_status(operation, "COMPLETED")
    assert outcomes(ended) == ["interrupted", "completed"]
    following = [system.api.submit(seconds=0.1) for _ in range(8)]
    for operation_id in following:
        system.api.until_status(operation_id, "COMPLETED")
    assert system.processes.is_up(victim)


def test_a_worker_frozen_beyond_the_lost_time_is_replaced_and_what_it_says_afterwards_counts_no_more(
    system: System,
) -> None:
    """Lessons W9, W15: the lid is closed on a machine, and opened when another worker has done the work."""
    operation = system.api.submit(seconds=1.5)
    victim = system.api.until_running(operation)["worker_id"]
    job = system.job(victim, operation)
    frozen = system.processes.tree(victim)
    signal_all(frozen, signal.SIGSTOP)
    ended = system.api.until_status(operation, "COMPLETED")
    assert ended["worker_id"] != victim
    signal_all(frozen, signal.SIGCONT)
    until_gone([job], "the superseded job ends", 10)
    system.until_available(victim)
    assert system.marks.count("end", operation) == 1
    assert system.api.operation(operation)["attempt"] == 2


@pytest.mark.slow
def test_a_worker_that_thaws_beside_its_successor_is_stopped_and_changes_nothing(system: System) -> None:
    """Lesson W9. The two run side by side until the first health check reaches the thawed one: not longer."""
    operation = system.api.submit(seconds=6)
    system.api.beside.add(operation)
    victim = system.api.until_running(operation)["worker_id"]
    job = system.job(victim, operation)
    frozen = system.processes.tree(victim)
    signal_all(frozen, signal.SIGSTOP)
    until(lambda: system.marks.count("start", operation) == 2, "a successor runs", 30)
    signal_all(frozen, signal.SIGCONT)
    until_gone([job], "the superseded job ends", 4)
    ended = system.api.until_status(operation, "COMPLETED")
    assert ended["attempt"] == 2
    assert [mark.attempt for mark in system.marks.all("end", operation)] == [2]


def test_a_second_live_agent_of_one_name_is_refused_and_the_first_goes_on(system: System) -> None:
    """Lesson W19."""
    operations = [system.api.submit(seconds=1) for _ in range(4)]
    before = system.api.worker("agent-1")
    system.start_agent("agent-1", process="impostor")
    log = system.directory / "impostor.log"
    until(lambda: "refuses this worker" in log.read_text(), "the second one is refused", 15)
    for operation_id in operations:
        system.api.until_status(operation_id, "COMPLETED")
    after = system.api.worker("agent-1")
    assert before is not None
    assert after is not None
    assert after["instance_id"] == before["instance_id"]


def test_half_of_the_workers_gone_at_once_is_taken_for_our_own_trouble_first_and_loses_nothing(
    system: System,
) -> None:
    """Mass loss: they get the time to be lost twice over; then the work goes on with the others."""
    operations = [system.api.submit(seconds=3) for _ in range(4)]
    for operation_id in operations:
        system.api.until_running(operation_id)
    system.processes.kill_at_once("agent-1", "agent-2")
    for operation_id in operations:
        ended = system.api.until_status(operation_id, "COMPLETED")
        assert ended["worker_id"] in ("agent-3", "agent-4")
    held = system.rows(
        "SELECT count(*) FROM registry_sweep WHERE jsonb_array_length(summary->'held_back') = 2"
    )
    assert held[0][0] > 0, "no sweep held back"


@pytest.mark.parametrize(
    ("version", "answer"), [(0, 422), (1, 200), (99, 200)], ids=["none", "ours", "newer"]
)
def test_agents_of_other_versions_of_the_protocol_register_and_a_version_that_is_none_is_refused_with_a_sentence(
    system: System, version: int, answer: int
) -> None:
    token = system.processes.environment["KTRDR_WORKER_TOKEN"]
    message = {
        "worker_id": f"version-{version}",
        "worker_type": "visitor",
        "endpoint_url": f"{system.scheme}://127.0.0.1:{free_port()}",
        "instance_id": os.urandom(8).hex(),
        "protocol_version": version,
        "operation_types": [],
        "a_field_of_the_future": {"x": 1},
    }
    with httpx.Client(base_url=system.api.url, headers={"Authorization": f"Bearer {token}"}) as http:
        said = http.post("/workers/register", json=message)
    assert said.status_code == answer, said.text
    if answer == 200:
        assert said.json()["protocol_version"] == min(version, PROTOCOL_VERSION)
    else:
        assert "protocol_version" in said.text
    with system.api.http() as http:
        http.delete(f"/workers/version-{version}")
