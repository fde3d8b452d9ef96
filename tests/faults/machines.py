"""Two machines on one: network namespaces with a cable between them that can be pulled out."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")
THIS_ONE = Path("/proc/thread-self/ns/net")
CARD = "cable"


class NoNamespaces(Exception):
    """Why this machine cannot play two."""


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    address: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and every process that it starts, has the machine's network; the others keep theirs."""
        before = os.open(THIS_ONE, os.O_RDONLY)
        own = os.open(NAMESPACES / self.name, os.O_RDONLY)
        try:
            _enter(own)
            yield
        finally:
            _enter(before)
            os.close(own)
            os.close(before)

    def pull_the_cable_out(self) -> None:
        ip("-n", self.name, "link", "set", CARD, "down")

    def put_the_cable_in(self) -> None:
        ip("-n", self.name, "link", "set", CARD, "up")


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Connected, and reached by nobody else. Raises NoNamespaces."""
    if os.geteuid() != 0:
        raise NoNamespaces("only root may make network namespaces")
    if shutil.which("ip") is None:
        raise NoNamespaces("`ip` is not installed (the Debian package iproute2)")
    left, right = (Machine(f"ktrdr-{os.getpid()}-{number}", f"10.231.0.{number}") for number in (1, 2))
    made = []
    try:
        for machine in (left, right):
            ip("netns", "add", machine.name)
            made.append(machine)
        ip("-n", left.name, "link", "add", CARD, "type", "veth", "peer", "name", CARD, "netns", right.name)
        for machine in (left, right):
            ip("-n", machine.name, "address", "add", f"{machine.address}/30", "dev", CARD)
            for card in ("lo", CARD):
                ip("-n", machine.name, "link", "set", card, "up")
        yield left, right
    finally:
        for machine in made:
            ip("netns", "delete", machine.name)
