"""A host with Docker: a Debian root in namespaces of its own, whose process 1 is dockerd."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployments.command import TrialFailed, run, wait_for
from tests.deployments.control_groups import make_group, remove_groups
from tests.deployments.machine import ENVIRONMENT
from tests.deployments.network import NAMESERVER, uplink
from tests.deployments.roots import CACHE, copy_of, debian
from tests.faults.machines import NAMESPACES, Machine

PACKAGES = "ca-certificates,iproute2,iptables,procps,kmod,git,python3,mount,docker.io,docker-cli,docker-compose,docker-buildx"
CHECKOUT = "/srv/ktrdr"
PROCESSES = 10
"""Of the containers that may be busy at once."""
START = f"""
set -e
cd "$1"
mount --rbind /sys sys; mount --rbind /dev dev; mount -t proc proc proc
mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp
mkdir -p var/lib/docker cache; mount --bind "$2" var/lib/docker; mount --bind -o ro "$3" cache
rm -f etc/resolv.conf; echo nameserver {NAMESERVER} >etc/resolv.conf
hostname docker-host
mkdir -p .before; pivot_root . .before; umount -l /.before
exec dockerd --storage-driver overlay2 --cgroup-parent "$4" --dns {NAMESERVER} >/var/log/dockerd.log 2>&1
"""


@dataclass(frozen=True)
class DockerHost(Machine):
    """`inside()`: this thread has the host's network, and its 127.0.0.1."""

    root: Path
    dockerd: subprocess.Popen[bytes]

    def run(self, script: str, timeout_s: float = 300) -> str:
        """Run the script in bash in the checkout. Raises TrialFailed at its first command that fails."""
        children = Path(f"/proc/{self.dockerd.pid}/task/{self.dockerd.pid}/children").read_text().split()
        if not children:
            raise TrialFailed(f"dockerd has ended:\n{self.log()}")
        enter = (
            "nsenter",
            f"--target={children[0]}",
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "-r",
            f"--wdns={CHECKOUT}",
        )
        return run(*enter, *ENVIRONMENT, "bash", "-euo", "pipefail", "-c", script, timeout_s=timeout_s)

    def answers(self) -> bool:
        try:
            self.run("docker version >/dev/null 2>&1")
        except TrialFailed:
            return False
        return True

    def log(self) -> str:
        path = self.root / "var/log/dockerd.log"
        return path.read_text()[-3000:] if path.exists() else "no log"


@contextmanager
def docker_host(directory: Path) -> Iterator[DockerHost]:
    name = f"ktrdr-docker-{os.getpid()}"
    base = debian("docker-host", "trixie", PACKAGES)
    images = directory / "docker"
    images.mkdir()
    run("ip", "netns", "add", name)
    try:
        with copy_of(base, directory / "host") as root, uplink(str(NAMESPACES / name)):
            run("ip", "-n", name, "link", "set", "lo", "up")
            (root / CHECKOUT.removeprefix("/")).mkdir(parents=True)
            namespaces = (
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation=private",
            )
            make_group(name, PROCESSES)
            dockerd = subprocess.Popen(
                ["nsenter", f"--net={NAMESPACES / name}", "unshare", *namespaces,
                 "bash", "-c", START, "start", root, images, CACHE, f"/{name}"],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            host = DockerHost(name, "127.0.0.1", root, dockerd)
            try:
                wait_for(host.answers, "dockerd answers")
                yield host
            finally:
                dockerd.kill()
                dockerd.wait()
                remove_groups(name)
    finally:
        run("ip", "netns", "delete", name)
