"""A network of its own: a namespace with the bridge of the guides, and an uplink through slirp4netns."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.deployments.command import TrialFailed, run, succeeds, wait_for
from tests.faults.machines import NAMESPACES, Machine

BRIDGE, GATEWAY, NETWORK = "vmbr0", "192.168.1.1", "192.168.1.0/24"
NAMESERVER = "10.0.2.3"


@dataclass(frozen=True, slots=True)
class Lan(Machine):
    """`inside()`: this thread and the processes that it starts are on the host that has the bridge."""

    @property
    def path(self) -> str:
        return str(NAMESPACES / self.name)

    def pull_the_cable_out(self) -> None:
        run("ip", "-n", self.name, "link", "set", BRIDGE, "down")

    def put_the_cable_in(self) -> None:
        run("ip", "-n", self.name, "link", "set", BRIDGE, "up")


@contextmanager
def uplink(namespace: str) -> Iterator[None]:
    """Connect the namespace (a path) with the networks of this machine, but not with its loopback addresses."""
    slirp = subprocess.Popen(
        ["slirp4netns", "--configure", "--mtu=1400", "--disable-host-loopback", "--netns-type=path", namespace, "tap0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(
            lambda: (
                slirp.poll() is not None
                or succeeds("nsenter", f"--net={namespace}", "ip", "route", "get", NAMESERVER)
            ),
            "slirp4netns connects",
        )
        if slirp.poll() is not None:
            raise TrialFailed(f"slirp4netns: {slirp.communicate()[1]}")
        yield
    finally:
        slirp.terminate()
        slirp.wait()


@contextmanager
def lan() -> Iterator[Lan]:
    found = Lan(f"ktrdr-lan-{os.getpid()}", GATEWAY)
    run("ip", "netns", "add", found.name)
    try:
        run("ip", "-n", found.name, "link", "set", "lo", "up")
        with uplink(found.path), found.inside():
            run("ip", "link", "add", BRIDGE, "type", "bridge")
            run("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
            run("ip", "link", "set", BRIDGE, "up")
            run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            run("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", NETWORK, "-o", "tap0", "-j", "MASQUERADE")
            yield found
    finally:
        run("ip", "netns", "delete", found.name)
