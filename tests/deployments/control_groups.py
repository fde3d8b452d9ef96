"""Control groups of a trial's machines: in one hierarchy with version 2, in several with version 1."""

from contextlib import suppress
from pathlib import Path

from tests.deployments.command import wait_for

HIERARCHIES = Path("/sys/fs/cgroup")
OF_SYSTEMD = ("systemd", "unified")
"""The hierarchies of version 1 in which systemd has its groups."""


def groups(name: str) -> list[Path]:
    """Return the groups of this name, which may contain `*`, one in each hierarchy."""
    found = [*HIERARCHIES.glob(name), *HIERARCHIES.glob(f"*/{name}")]
    return [path for path in found if path.is_dir() and not path.parent.is_symlink()]


def make_group(name: str, processes: int) -> None:
    """Make a group for containers that gets as much processor time as this number of processes outside of it, not as one."""
    for folder in ("", "cpu"):
        hierarchy = HIERARCHIES / folder
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / name).mkdir(exist_ok=True)
    for weight, usual in (("cpu/{}/cpu.shares", 1024), ("{}/cpu.weight", 100)):
        if (path := HIERARCHIES / weight.format(name)).exists():
            path.write_text(str(processes * usual))


def command_in(name: str, *command: str) -> tuple[str, ...]:
    """Make a group that systemd can use as its root, and return the command that runs in it, as the same process."""
    if (HIERARCHIES / "cgroup.procs").exists():
        paths = [HIERARCHIES / name]
    else:
        paths = [HIERARCHIES / folder / name for folder in OF_SYSTEMD if (HIERARCHIES / folder).exists()]
    for path in paths:
        path.mkdir(exist_ok=True)
    enter = "".join(f"echo $$ >{path}/cgroup.procs\n" for path in paths)
    return ("sh", "-ec", f'{enter}exec "$@"', "sh", *command)


def remove_groups(name: str) -> None:
    """Remove the groups of this name and all below them, as soon as their last processes have ended."""
    wait_for(
        lambda: not [path for path in groups(name) if not _try_to_remove(path)], f"{name} is removed", 30
    )


def _try_to_remove(group: Path) -> bool:
    for path in sorted(group.rglob("*/"), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        group.rmdir()
    return not group.exists()
