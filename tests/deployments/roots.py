"""Debian roots, made once by debootstrap and kept in the cache, and the wheels that machines install from."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deployments.checkout import file_at
from tests.deployments.command import run

CACHE = Path(os.environ.get("KTRDR_DEPLOY_TEST_CACHE", "/var/cache/ktrdr-deploy-test"))
MIRROR = os.environ.get("KTRDR_DEPLOY_TEST_MIRROR", "http://deb.debian.org/debian")
WHEELS, DEBS = CACHE / "wheels", CACHE / "debs"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "systemd,systemd-sysv,dbus,init,iproute2,ca-certificates,procps,netbase,tzdata,ifupdown"
"""What Debian's standard container template has, as far as the guides rely on it."""
PIP = "[global]\nno-index = true\nfind-links = /wheels\n"
"""A site's own index of packages; it has the CPU build of torch."""


@contextmanager
def alone() -> Iterator[None]:
    """Let no other trial add to the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian(name: str, suite: str = "bookworm", packages: str = BASE) -> Path:
    """Return the cached root, which nobody may change."""
    root = CACHE / name
    if root.exists():
        return root
    with alone():
        return root if root.exists() else _make(root, suite, packages)


def _make(root: Path, suite: str, packages: str) -> Path:
    part = root.with_name(f"{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    DEBS.mkdir(parents=True, exist_ok=True)
    run(
            "debootstrap", "--variant=minbase", f"--cache-dir={DEBS}", f"--include={packages}", suite, part, MIRROR,
            timeout_s=3600, variables={"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    shutil.copy(CERTIFICATES, part / CERTIFICATES.relative_to("/"))
    (part / "etc/apt/apt.conf.d/90trial").write_text(
        'Acquire::Languages "none";\nDPkg::Options "--force-unsafe-io";\n'
    )
    part.rename(root)
    return root


def keep_debs(downloaded: Path) -> None:
    """Move the packages that a machine downloaded to the cache."""
    with alone():
        for deb in downloaded.glob("*.deb"):
            if not (DEBS / deb.name).exists():
                shutil.copy(deb, DEBS / "new")
                (DEBS / "new").rename(DEBS / deb.name)


def wheels(commit: str = "") -> Path:
    """Return the folder with all pinned packages for Debian 12's Python, downloaded once; also those of the commit."""
    with alone():
        return _wheels(commit)


def _wheels(commit: str) -> Path:
    WHEELS.mkdir(parents=True, exist_ok=True)
    download = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--python-version=3.11",
        f"--dest={WHEELS}",
    )
    for name in ("web", "workers", "importer", "torch-cpu"):
        pins = file_at(f"requirements/{name}.txt", commit)
        stamp = WHEELS / f".{name}-{hashlib.sha256(pins.encode()).hexdigest()[:16]}"
        if not stamp.exists():
            part = stamp.with_suffix(".part")
            part.write_text(pins)
            run(*download, "--only-binary=:all:", "--require-hashes", f"--requirement={part}", timeout_s=1200)
            part.rename(stamp)
    if not list(WHEELS.glob("setuptools-*")):
        run(*download, "--only-binary=:all:", "setuptools>=80")
    return WHEELS


@contextmanager
def copy_of(base: Path, directory: Path) -> Iterator[Path]:
    """Mount a changeable copy of the root on `directory`."""
    upper, work = (
        directory.with_name(f"{directory.name}.upper"),
        directory.with_name(f"{directory.name}.work"),
    )
    for path in (directory, upper, work):
        path.mkdir(parents=True)
    run(
        "mount",
        "-t",
        "overlay",
        "overlay",
        "-o",
        f"lowerdir={base},upperdir={upper},workdir={work}",
        directory,
    )
    try:
        yield directory
    finally:
        run("umount", "--lazy", directory)


def give_wheels(root: Path) -> None:
    """Let pip in the root install from /wheels."""
    (root / "etc/pip.conf").write_text(PIP)
    (root / "wheels").mkdir(exist_ok=True)
