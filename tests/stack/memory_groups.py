"""A memory control group of Linux (versions 1 and 2) for the processes of a test."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    directory: Path
    version: int

    def enter(self) -> None:
        """Move this process into the group; its children follow."""
        (self.directory / "cgroup.procs").write_text(str(os.getpid()))

    def is_empty(self) -> bool:
        return not (self.directory / "cgroup.procs").read_text()

    def kills(self) -> int:
        """Return how many processes the kernel has killed for lack of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        counters = dict(line.split() for line in (self.directory / name).read_text().splitlines())
        return int(counters["oom_kill"])

    def peak_bytes(self) -> int:
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        return int((self.directory / name).read_text())


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Make a group with this limit and without swap; skip the test where that is not permitted."""
    parent, version = _own_group()
    directory = parent / f"ktrdr-test-{os.getpid()}"
    try:
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"this user cannot create the memory control group {directory}: {error}")
    try:
        try:
            for name, value in _limits(limit_bytes, version).items():
                (directory / name).write_text(str(value))
        except OSError as error:
            pytest.skip(f"the memory controller is not available in {directory.parent}: {error}")
        yield MemoryGroup(directory, version)
    finally:
        directory.rmdir()


def within(group: MemoryGroup, then: Callable[[], None]) -> Callable[[], None]:
    """Return a `preexec_fn` that enters the group and then does the rest."""

    def enter() -> None:
        group.enter()
        then()

    return enter


def _own_group() -> tuple[Path, int]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return ROOT / "memory" / path.lstrip("/"), 1
    return ROOT, 2


def _limits(limit_bytes: int, version: int) -> dict[str, int]:
    if version == 2:
        return {"memory.max": limit_bytes, "memory.swap.max": 0}
    return {"memory.limit_in_bytes": limit_bytes, "memory.swappiness": 0}
