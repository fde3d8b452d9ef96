"""Backend on one machine, workers on another, and the network between them away for a while."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.api import outcomes
from tests.faults.certificates import Certificates
from tests.faults.machines import Machine, NoNamespaces, two_machines
from tests.faults.marks import judge
from tests.faults.processes import free_port
from tests.faults.system import WAITS_S, System
from tests.waiting import until

pytestmark = pytest.mark.slow

AGENTS = ("agent-1", "agent-2")


@dataclass
class Apart:
    system: System
    workers: Machine

    def start_agent(self, name: str) -> None:
        """As on any machine: told where the backend is, and not by which address it is reached itself."""
        with self.workers.inside():
            self.system.processes.start(
                name, "-m", "tests.faults.marking_worker", "--host", "0.0.0.0", "--port", str(free_port()),
                "--api-url", self.system.api.url, "--data-dir", str(self.system.directory / name),
                WORKER_ID=name,
            )  # fmt: skip

    def wait_until_settled(self, operation_id: str) -> None:
        """It completed, and nothing of it was lost or counted twice."""
        self.system.api.until_status(operation_id, "COMPLETED", timeout_s=90)
        for name in AGENTS:
            self.system.until_available(name)
        verdict = judge(self.system.api, self.system.marks)
        assert not verdict.lost, verdict.lost
        assert not verdict.doubled, verdict.doubled


@pytest.fixture(scope="module")
def apart(tls: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    directory: Path = tmp_path_factory.mktemp("two-machines")
    try:
        with two_machines() as (backend, workers), backend.inside():
            certificates = Certificates(directory / "certificates", (workers.address,)) if tls else None
            system = System(
                directory,
                waits_s=WAITS_S | {"KTRDR_LOST_AFTER_S": 6.0, "KTRDR_REMOVAL_AFTER_S": 60.0},
                settings={"KTRDR_ALLOWED_HOSTS": backend.address},
                host=backend.address,
                certificates=certificates,
            )
            found = Apart(system, workers)
            try:
                system.prepare()
                system.start_backend()
                for name in AGENTS:
                    found.start_agent(name)
                until(system.api.ready, "the backend is ready", 150, system.logs)
                for name in AGENTS:
                    system.until_available(name, 90)
                yield found
            finally:
                workers.put_the_cable_in()
                system.stop()
    except NoNamespaces as reason:
        pytest.skip(f"this machine cannot play two: {reason}")


@pytest.fixture(autouse=True)
def _judged_alone(apart: Apart) -> None:
    apart.system.api.submitted.clear()
    apart.system.api.beside.clear()


def test_workers_announce_the_address_by_which_the_backend_reaches_them(apart: Apart) -> None:
    for name in AGENTS:
        worker = apart.system.api.worker(name)
        assert worker is not None
        assert worker["endpoint_url"].startswith(f"{apart.system.scheme}://{apart.workers.address}:")


def test_an_operation_that_ends_while_the_network_is_away_completes_when_it_is_back_and_ran_once(
    apart: Apart,
) -> None:
    system = apart.system
    operation_id = system.api.submit(seconds=3)
    operation = system.api.until_running(operation_id)
    apart.workers.pull_the_cable_out()
    system.until_worker(operation["worker_id"], "TEMPORARILY_UNAVAILABLE")
    until(lambda: system.marks.count("end", operation_id), "the job has ended", 30)
    assert system.api.operation(operation_id)["status"] == "RUNNING"
    apart.workers.put_the_cable_in()
    apart.wait_until_settled(operation_id)
    assert system.marks.count("start", operation_id) == 1
    assert len(outcomes(system.api.operation(operation_id))) == 1


def test_an_operation_whose_worker_is_away_for_too_long_goes_on_when_there_is_one_again(apart: Apart) -> None:
    system = apart.system
    operation_id = system.api.submit(seconds=40, checkpoint_every=25)
    # The worker runs on behind the cut, until it is told that its attempt does not count any more.
    system.api.beside.add(operation_id)
    system.api.until_running(operation_id)
    until(lambda: system.rows("SELECT 1 FROM operations_checkpoint LIMIT 1"), "a checkpoint is kept", 30)
    apart.workers.pull_the_cable_out()
    waiting = system.api.until_status(operation_id, "PENDING", timeout_s=60)
    assert outcomes(waiting) == ["lost"]
    apart.workers.put_the_cable_in()
    apart.wait_until_settled(operation_id)
    assert outcomes(system.api.operation(operation_id)) == ["lost", "completed"]
    assert system.marks.count("resumed", operation_id) == 1
    assert system.marks.count("end", operation_id) == 1
