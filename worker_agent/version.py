"""The version of this copy of KTRDR: `RELEASE` at a tagged commit, else with the time and hash of the commit.

Distributions take their version from here when they are built, so each commit's wheel replaces that of an older one.
setuptools runs this file on its own: it imports only the standard library.
"""

import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

RELEASE = "0.2.0"
"""Of KTRDR as a whole: site, agent and workers are released together."""
DISTRIBUTION = "ktrdr-worker-agent"
VARIABLE = "KTRDR_VERSION"
"""Set where images and wheels are built from a copy of the sources without their history."""
GIT_TIMEOUT_S = 5.0


@cache
def version() -> str:
    """Return the version by PEP 440, such as `0.2.0` or `0.2.0.post20261129173512+g1a2b3c4`; `.dirty` marks changed files."""
    return (
        os.environ.get(VARIABLE)
        or version_of_checkout(Path(__file__).resolve().parents[1])
        or _installed_version()
        or RELEASE
    )


def version_of_checkout(root: Path) -> str:
    """Return the version of the commit that is checked out in `root`, or "" where that cannot be read."""
    if not (root / ".git").exists():
        return ""
    try:
        seconds, commit, references = _git(root, "log", "-1", "--format=%ct%n%h%n%D").split("\n")[:3]
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    if f"tag: v{RELEASE}" in references.split(", ") and not changed:
        return RELEASE
    moment = datetime.fromtimestamp(int(seconds), UTC)
    return f"{RELEASE}.post{moment:%Y%m%d%H%M%S}+g{commit}{'.dirty' if changed else ''}"


def _git(root: Path, *arguments: str) -> str:
    # The site's user runs the code of a checkout that belongs to root, which git would refuse to read.
    command = ("git", "-c", f"safe.directory={root}", "-C", str(root), *arguments)
    return subprocess.run(  # noqa: S603  (our own command line)
        command, capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S, stdin=subprocess.DEVNULL
    ).stdout


def _installed_version() -> str:
    """Return the version of the installed distribution if this file belongs to it."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""
    installed = Path(str(distribution.locate_file("worker_agent/version.py"))).resolve()
    return distribution.version if installed == Path(__file__).resolve() else ""


if __name__ == "__main__":
    print(version())  # noqa: T201  (the version is this program's output)
