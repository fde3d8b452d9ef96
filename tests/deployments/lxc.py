"""The Proxmox block of docs/deploy-systemd.md, executed as it is, with a `pct` that creates unprivileged LXC containers."""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployments.command import require, run, succeeds, wait_for
from tests.deployments.control_groups import make_group, remove_groups
from tests.deployments.disk import disk
from tests.deployments.document import blocks
from tests.deployments.job_user import install_drop_in, require_jobs_of
from tests.deployments.network import BRIDGE, NAMESERVER, lan
from tests.deployments.results import Results
from tests.deployments.roots import WHEELS, copy_of, debian, give_wheels, wheels
from tests.deployments.systemd import GUIDE, Secrets, backend, outcomes
from tests.deployments.visitor import LONG, Visitor
from tests.stack.system import ROOT

ADDRESSES = {
    "backtesting-301": "192.168.1.201:5003",
    "backtesting-302": "192.168.1.202:5003",
    "training-401": "192.168.1.211:5004",
}
"""As in the guide's block."""


@dataclass
class Proxmox:
    """The folder from which the operator runs the scripts."""

    folder: Path
    base: Path
    group: str
    """The control group of all containers."""

    def run(self, script: str, timeout_s: float = 300) -> str:
        home = self.folder / "containers"
        variables = {
            "PATH": f"{Path(__file__).parent}:{os.environ['PATH']}",
            "PCT_HOME": str(home), "PCT_BASE": str(self.base), "PCT_WHEELS": str(WHEELS), "PCT_GROUP": self.group,
        }  # fmt: skip
        home.mkdir(exist_ok=True)
        # LXC's own processes keep the standard output, so it goes to a file.
        output = self.folder / "output"
        run(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            f"exec >{output} 2>&1\n{script}",
            cwd=self.folder,
            timeout_s=timeout_s,
            variables=variables,
        )
        return output.read_text()

    def inside_401(self, script: str) -> str:
        """Run the script in the container of the training worker."""
        return self.run(f"pct exec 401 -- bash -euo pipefail -c {shlex.quote(script)}")

    def remove_containers(self) -> None:
        for home in (self.folder / "containers").glob("[0-9]*"):
            succeeds("lxc-stop", "-P", home.parent, "-n", home.name, "-k")
        remove_groups(self.group)


@contextmanager
def proxmox(directory: Path, token: str) -> Iterator[Proxmox]:
    """A folder with wheels/, requirements/, deploy/ and the token, as the guide requires."""
    folder = directory / "proxmox"
    folder.mkdir()
    for name in ("requirements", "deploy"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "worker-token").write_text(token)
    (folder / "worker-token").chmod(0o600)
    source = directory / "source"
    run("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", source)
    wheel = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder / 'wheels'}")
    run(*wheel, "./worker_agent", ".", cwd=source)
    with copy_of(debian("bookworm"), directory / "template") as base:
        give_wheels(base)
        (base / "etc/resolv.conf").unlink(missing_ok=True)
        (base / "etc/resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
        make_group(f"ktrdr-lxc-{os.getpid()}", len(ADDRESSES))
        host = Proxmox(folder, base, f"ktrdr-lxc-{os.getpid()}")
        try:
            yield host
        finally:
            host.remove_containers()


def trial(results: Results) -> None:
    wheels()
    values = Secrets.make()
    with disk("lxc") as directory, lan():
        results.add("versions", f"LXC {run('lxc-start', '--version').strip()}")
        with (
            backend(results, directory, values) as (_, visitor),
            proxmox(directory, values.worker_token) as host,
        ):
            (block,) = blocks(GUIDE, "Proxmox: a template, and numbered workers")
            for command in block.splitlines():
                begin = time.monotonic()
                host.run(command, timeout_s=3600)
                results.add(f"`{Path(command.split()[0]).name}`", f"{time.monotonic() - begin:.0f} s")
            _use(results, host, visitor)
            results.conclude()


def _use(results: Results, host: Proxmox, visitor: Visitor) -> None:
    endpoints = {worker["worker_id"]: worker["endpoint_url"] for worker in visitor.wait_for_workers(3)}
    require(endpoints == {name: f"http://{address}" for name, address in ADDRESSES.items()}, f"{endpoints}")
    for number in ("301", "302", "401"):
        identity = host.run(
            f"pct exec {number} -- cat /proc/self/uid_map; pct exec {number} -- systemctl is-active ktrdr-worker@1"
        )
        require("100000" in identity, f"{number}: {identity}")
    with results.step("imports, a training and a backtest over HTTP"):
        visitor.import_sample_data()
        results.add("Sharpe ratio of the backtest", visitor.train_and_backtest())
    training = visitor.submit_training(LONG)
    visitor.wait_until_running(training)
    with results.step("the workers' ports of the bridge cut and restored"):
        _cut_and_restore(visitor)
        visitor.wait_until_running(training)
    attempts = len(outcomes(visitor, training))
    with results.step("a training container shut down with its job, and started again"):
        host.run("pct shutdown 401", timeout_s=120)
        wait_for(
            lambda: "training-401" not in {worker["worker_id"] for worker in visitor.workers()},
            "it deregisters",
        )
        host.run("pct start 401")
        visitor.wait_for_workers(3)
        visitor.wait_until_running(training, attempt=attempts + 1)
    found = outcomes(visitor, training)
    results.add("attempts of the interrupted training", ", ".join(found))
    require("interrupted" in found and "failed" not in found, f"{found}")
    visitor.cancel(training)
    wait_for(lambda: visitor.operation(training)["status"] == "CANCELLED", "the training is cancelled")
    host.run("pct shutdown 301 && pct destroy 301", timeout_s=120)
    wait_for(lambda: len(visitor.workers()) == 2, "the removed worker deregisters")
    with results.step("a job of another user"):
        install_drop_in(host.inside_401, "ktrdr-worker@1")
        require_jobs_of(results, host.inside_401, "ktrdr-jobs", visitor)


def _cut_and_restore(visitor: Visitor) -> None:
    ports = [port["ifname"] for port in json.loads(run("ip", "-json", "link", "show", "master", BRIDGE))]
    cut = [port for port in ports if port.startswith("pct")]
    require(len(cut) == 3, f"{ports}")
    for port in cut:
        run("ip", "link", "set", port, "down")
    wait_for(lambda: len(visitor.workers("TEMPORARILY_UNAVAILABLE")) == 3, "the backend notices the cut")
    for port in cut:
        run("ip", "link", "set", port, "up")
    visitor.wait_for_workers(3)
