"""Each message of the protocol meets each fault of the network, once, on the way between backend and agent.

Every kind of fault has an agent of its own, all at the same time. Whatever was lost on the way, the operation
completes, its job runs to its end once, and nobody has to help.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.api import outcomes
from tests.faults.lanes import Lane, lanes
from tests.faults.proxy import Fault, Matcher, request
from tests.faults.system import System
from tests.waiting import until

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
RUNS_S = 5.0
"""Long enough that it still runs when somebody looks."""


@pytest.fixture(scope="module")
def all_lanes(shared_system: System) -> Iterator[list[Lane]]:
    with lanes(shared_system, *FAULTS) as found:
        yield found


MESSAGES: dict[str, tuple[Matcher, bool]] = {
    "start": (request("POST", "/marking/start"), False),
    "health": (request("GET", "/health"), False),
    "operation": (request("GET", "/api/v1/operations/"), False),
    "report": (request("POST", "/operations/[a-z0-9]+/report"), True),
    "checkpoint": (request("POST", "/operations/[a-z0-9]+/checkpoints"), True),
    "artifact": (request("PUT", "/artifacts/"), True),
}


def submitted_in_bad_weather(system: System, lane: Lane, matches: Matcher, to_backend: bool) -> str:
    """Submit an operation and read it, which makes the backend ask its worker, until the lane's fault was met and is over."""
    lane.misbehave(matches, to_backend=to_backend, clock_factor=system.clock_factor)
    operation_id = lane.submit(system, seconds=RUNS_S, checkpoint_every=50, artifact_bytes=100_000)
    until(lambda: system.api.operation(operation_id) and lane.hits, f"{lane.fault} was met", 20)
    until(lambda: lane.behaves, f"{lane.fault} is over")
    return operation_id


@pytest.mark.parametrize("message", MESSAGES)
def test_an_operation_completes_whatever_the_network_does_to_one_of_its_messages(
    all_lanes: list[Lane], system: System, message: str
) -> None:
    """Lessons W8, W18, W31."""
    with ThreadPoolExecutor(len(all_lanes)) as people:
        operations = list(
            people.map(lambda lane: submitted_in_bad_weather(system, lane, *MESSAGES[message]), all_lanes)
        )
    for operation_id in operations:
        system.api.until_status(operation_id, "COMPLETED")
        assert system.marks.count("end", operation_id) == 1


def test_a_cancel_reaches_its_worker_whatever_the_network_does_to_it(
    all_lanes: list[Lane], system: System
) -> None:
    """Lesson W10."""
    operations = {lane.submit(system, seconds=30): lane for lane in all_lanes}
    for operation_id in operations:
        system.api.until_running(operation_id)
    for lane in all_lanes:
        lane.misbehave(
            request("DELETE", "/api/v1/operations/"), to_backend=False, clock_factor=system.clock_factor
        )
    for operation_id in operations:
        assert system.api.cancel(operation_id) == 202
    for lane in all_lanes:
        until(lambda lane=lane: lane.behaves, f"{lane.fault}: the fault was met and is over", 20)
    for operation_id in operations:
        system.api.until_status(operation_id, "CANCELLED")
        assert not system.marks.count("end", operation_id)


def test_an_agent_registers_whatever_the_network_does_to_its_registration(
    all_lanes: list[Lane], system: System
) -> None:
    """Killed with an operation, it comes back through a bad line, and the operation is taken up again."""
    operations = {lane.submit(system, seconds=5): lane for lane in all_lanes}
    for operation_id, lane in operations.items():  # each at once, before the others' time is over
        system.api.until_running(operation_id)
        system.processes.kill(lane.agent)
    for lane in all_lanes:
        lane.misbehave(
            request("POST", "/workers/register"), to_backend=True, clock_factor=system.clock_factor
        )
        system.start_agent(lane.agent, **system.expected[lane.agent])
    for lane in all_lanes:
        until(lambda lane=lane: lane.behaves, f"{lane.fault}: the fault was met and is over", 30)
    for operation_id in operations:
        ended = system.api.until_status(operation_id, "COMPLETED")
        assert outcomes(ended) == ["lost", "completed"], ended["attempts"]
