"""How long it takes, at the default clocks and with no person involved, until a killed worker's operation goes on.

The system is `manage.py up` without workers; two marking workers of the fault tests are the agents. Targets: the dead
worker is TEMPORARILY_UNAVAILABLE within 35 s and its operation requeued within 95 s; an agent that is back within
seconds gives its operation back within 2 s of its registration.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks._figures import print_figure
from benchmarks._system import System, running

AGENTS = ("recovery-1", "recovery-2", "recovery-3")
"""Three, so that one lost is not half of all."""
POLL_S = 0.1


class Watched:
    """The system over HTTP, and the agents as processes."""

    def __init__(self, system: System, directory: Path) -> None:
        self.system = system
        self.directory = directory
        self.http = httpx.Client(
            base_url=system.url, headers={"Authorization": f"Bearer {system.token}"}, timeout=10
        )
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        self.agents[name] = subprocess.Popen(
            [
                sys.executable, "-m", "tests.faults.marking_worker", "--port", "0", "--worker-id", name,
                "--api-url", self.system.url, "--data-dir", str(self.directory / name),
            ],
            env={
                **os.environ,
                "KTRDR_WORKER_TOKEN": self.system.enrolment_token,
                "KTRDR_MARKS": str(self.directory / "marks"),
                "WORKER_ID": name,
            },
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        process = self.agents.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def submit(self) -> str:
        answer = self.http.post(
            "/operations", json={"operation_type": "marking", "parameters": {"seconds": 300}}
        )
        answer.raise_for_status()
        return str(answer.json()["operation_id"])

    def until(
        self, path: str, holds: Callable[[dict[str, Any]], bool], most_s: float
    ) -> tuple[float, dict[str, Any]]:
        """(seconds, what was seen)"""
        begun = time.monotonic()
        while time.monotonic() - begun < most_s:
            answer = self.http.get(path)
            if answer.status_code == 200 and holds(seen := answer.json()):
                return time.monotonic() - begun, seen
            time.sleep(POLL_S)
        raise SystemExit(f"{path} was not as wanted within {most_s:g} s: {answer.text[:500]}")

    def close(self) -> None:
        for process in self.agents.values():
            process.terminate()
        for process in self.agents.values():
            process.wait(20)
        self.http.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as directory, running() as system:
        watched = Watched(system, Path(directory))
        try:
            for name in AGENTS:
                watched.start(name)
            for name in AGENTS:
                watched.until(f"/workers/{name}", lambda worker: worker["status"] == "AVAILABLE", 30)
            measure_restart(watched)
            measure_kill(watched)
        finally:
            watched.close()


def running_at(watched: Watched, operation_id: str) -> str:
    _, operation = watched.until(f"/operations/{operation_id}", lambda one: one["status"] == "RUNNING", 30)
    return str(operation["worker_id"])


def measure_restart(watched: Watched) -> None:
    operation_id = watched.submit()
    name = running_at(watched, operation_id)
    before = watched.http.get(f"/workers/{name}").json()["instance_id"]
    watched.kill(name)
    watched.start(name)
    watched.until(f"/workers/{name}", lambda worker: worker["instance_id"] != before, 30)
    seconds, _ = watched.until(
        f"/operations/{operation_id}", lambda one: one["attempt"] > 1 or one["status"] == "PENDING", 30
    )
    print_figure("agent restarted: from its registration until its operation is requeued", seconds, "s")
    watched.until(
        f"/operations/{operation_id}", lambda one: one["status"] == "RUNNING" and one["attempt"] > 1, 60
    )
    watched.http.delete(f"/operations/{operation_id}/cancel").raise_for_status()
    watched.until(f"/operations/{operation_id}", lambda one: one["status"] == "CANCELLED", 60)


def measure_kill(watched: Watched) -> None:
    operation_id = watched.submit()
    name = running_at(watched, operation_id)
    watched.kill(name)
    begun = time.monotonic()
    watched.until(f"/workers/{name}", lambda worker: worker["status"] == "TEMPORARILY_UNAVAILABLE", 120)
    print_figure("worker killed: until it is TEMPORARILY_UNAVAILABLE", time.monotonic() - begun, "s")
    watched.until(
        f"/operations/{operation_id}", lambda one: one["status"] == "PENDING" or one["attempt"] > 1, 180
    )
    print_figure("worker killed: until its operation is requeued", time.monotonic() - begun, "s")
    watched.until(
        f"/operations/{operation_id}", lambda one: one["status"] == "RUNNING" and one["attempt"] > 1, 60
    )
    print_figure("worker killed: until its operation runs elsewhere", time.monotonic() - begun, "s")


if __name__ == "__main__":
    main()
