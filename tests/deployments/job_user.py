"""Jobs of another user, as docs/security.md describes them for a unit and for a container."""

import re
from collections.abc import Callable

from tests.deployments.command import require, wait_for
from tests.deployments.results import Results
from tests.deployments.visitor import LONG, Visitor
from tests.stack.system import ROOT

Run = Callable[[str], str]
"""Runs a script as root on the host of the worker, and returns its output."""


def drop_in() -> str:
    text = (ROOT / "docs" / "security.md").read_text()
    found = re.search(r"(?ms)^## Jobs of another user$.*?^   ```ini\n(.*?)^   ```$", text)
    assert found, "docs/security.md has no drop-in for the units"
    return "\n".join(line.removeprefix("   ") for line in found[1].splitlines())


def install_drop_in(run: Run, unit: str) -> None:
    """Follow the guide on a host with systemd, and restart the worker."""
    folder = f"/etc/systemd/system/{unit.split('@')[0]}@.service.d"
    run(
        f"useradd --system --no-create-home ktrdr-jobs\nmkdir -p {folder}\n"
        f"cat >{folder}/jobs.conf <<'UNIT'\n{drop_in()}\nUNIT\nsystemctl daemon-reload\nsystemctl restart {unit}"
    )


def require_jobs_of(results: Results, run: Run, user: str, visitor: Visitor) -> None:
    """Train, and look at the processes of the user, which has no other processes."""
    training = visitor.submit_training(LONG)
    visitor.wait_until_running(training)
    processes = run(f"ps -u {user} -o pid= || true").split()
    require(processes, f"no process of {user} while a training runs")
    for process in processes:
        status = run(f"grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/{process}/status")
        require("CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, f"{process}:\n{status}")
    visitor.cancel(training)
    wait_for(
        lambda: visitor.operation(training)["status"] == "CANCELLED", "the training of the user is cancelled"
    )
    wait_for(lambda: not run(f"ps -u {user} -o pid= || true").split(), f"no process of {user} is left")
    results.add("jobs of another user", f"{user}, without capabilities; trained and cancelled")
