"""A machine that boots Debian with systemd: systemd-nspawn at the bridge of a network namespace."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.deployments.command import PATIENCE_S, TrialFailed, run, wait_for
from tests.deployments.control_groups import command_in, remove_groups
from tests.deployments.network import BRIDGE, GATEWAY, NAMESERVER
from tests.deployments.roots import DEBS, WHEELS, copy_of, give_wheels, keep_debs

ENVIRONMENT = (
    "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb",
    "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
)  # fmt: skip
POWER_OFF = signal.SIGRTMIN + 4
RUNNING = ("running", "degraded")


@dataclass
class Booted:
    name: str
    address: str
    root: Path
    nspawn: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Return when systemd has started everything."""
        self.debs.mkdir(exist_ok=True)
        with (self.root.parent / f"{self.name}.console").open("ab") as console:
            self.nspawn = subprocess.Popen(
                command_in(
                    self.group,
                    "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self.root}",
                    f"--machine={self.name}", f"--network-bridge={BRIDGE}", "--resolv-conf=off", "--timezone=off",
                    f"--bind-ro={WHEELS}:/wheels", f"--overlay={DEBS}:{self.debs}:/var/cache/apt/archives",
                    "--console=pipe", "--boot",
                ),
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        wait_for(lambda: self._state() in RUNNING, f"{self.name} has booted")

    def _state(self) -> str:
        try:
            return self.run("systemctl is-system-running || true").strip()
        except TrialFailed:
            return "starting"

    @property
    def debs(self) -> Path:
        """The packages that it downloaded; apt locks its cache, so each machine has its own layer above the kept one."""
        return self.root.with_name(f"{self.name}.debs")

    @property
    def group(self) -> str:
        """Its control group: machines in the same one would see each other's units."""
        return f"ktrdr-{self.name}-{os.getpid()}"

    @property
    def leader(self) -> int:
        """The machine's process 1, as this machine numbers it."""
        if self.nspawn is None or self.nspawn.poll() is not None:
            raise TrialFailed(f"{self.name} does not run")
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        if not children:
            raise TrialFailed(f"{self.name} has not started")
        return int(children[0])

    def run(self, script: str, timeout_s: float = 300) -> str:
        """Run the script in bash, as root. Raises TrialFailed at its first command that fails."""
        enter = ("nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
        return run(*enter, *ENVIRONMENT, "bash", "-euo", "pipefail", "-c", script, timeout_s=timeout_s)

    def power_off(self) -> None:
        """Shut down as an operator does, with the units' stop times."""
        os.kill(self.leader, POWER_OFF)
        assert self.nspawn
        self.nspawn.wait(timeout=PATIENCE_S)

    def kill(self) -> None:
        """End all processes of the machine at once; nothing of it is kept."""
        if self.nspawn and self.nspawn.poll() is None:
            with suppress(TrialFailed, ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
            self.nspawn.terminate()
            self.nspawn.wait()
        remove_groups(self.group)

    def active(self, *units: str) -> bool:
        states = self.run(f"systemctl is-active {' '.join(units)} || true").split()
        return states == ["active"] * len(units)

    def main_process(self, unit: str) -> int:
        return int(self.run(f"systemctl show --property=MainPID --value {unit}"))


@contextmanager
def machine(name: str, address: str, base: Path, directory: Path) -> Iterator[Booted]:
    """Boot a copy of the root with a static address."""
    with copy_of(base, directory / name) as root:
        give_wheels(root)
        configure(root, name, address)
        booted = Booted(name, address, root)
        try:
            booted.boot()
            yield booted
        finally:
            booted.kill()
            keep_debs(booted.debs)


def configure(root: Path, name: str, address: str) -> None:
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    resolv = root / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.write_text(f"nameserver {NAMESERVER}\n")
    (root / "etc/systemd/network").mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/network/10-host0.network").write_text(
        f"[Match]\nName=host0\n[Network]\nAddress={address}/24\nGateway={GATEWAY}\n"
    )
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    for unit in ("systemd-networkd.service", "systemd-networkd-wait-online.service"):
        link = wanted / unit
        link.unlink(missing_ok=True)
        link.symlink_to(f"/lib/systemd/system/{unit}")
