"""The distributions of this repository, built without a network, and environments that contain them."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.stack.system import ROOT

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "worker_agent", "workers")
BUILT = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
NO_NETWORK = ("--no-deps", "--no-index")


def build_wheels(directory: Path, *projects: str) -> list[Path]:
    """Build a wheel of each project, a folder of the repository, from a copy of the sources."""
    source = directory / "source"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=BUILT)
        else:
            shutil.copy(path, source / name)
    wheels = directory / "wheels"
    command = (*PIP, "wheel", *NO_NETWORK, "--no-build-isolation", "--wheel-dir", wheels)
    subprocess.run([*command, *(f"./{project}" for project in projects)], cwd=source, check=True)
    return sorted(wheels.glob("*.whl"))


def create_environment(directory: Path, wheels: list[Path]) -> Path:
    """Create an environment with only these wheels; return its folder of packages."""
    venv.create(directory, symlinks=True)
    (packages,) = (directory / "lib").glob("python*/site-packages")
    subprocess.run([*PIP, "install", *NO_NETWORK, "--target", packages, *wheels], check=True)
    return packages


def packages_needed_by(*requirements: str) -> set[str]:
    """Return the names of the installed distributions that these requirements need, directly or indirectly."""
    names: set[str] = set()
    missing = [Requirement(requirement) for requirement in requirements]
    while missing:
        requirement = missing.pop()
        if requirement.name.lower() in names or not _applies(requirement):
            continue
        names.add(requirement.name.lower())
        missing += [Requirement(text) for text in metadata.requires(requirement.name) or ()]
    return names


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def installed_files(name: str) -> Iterator[Path]:
    """Yield the files of an installed distribution, relative to the folder of packages."""
    library = Path(sysconfig.get_path("purelib"))
    for file in metadata.files(name) or ():
        if not file.parts[0].startswith("..") and (library / file).is_file():
            yield Path(file)


def link_packages(names: set[str], packages: Path) -> None:
    """Make installed distributions visible in another environment."""
    library = Path(sysconfig.get_path("purelib"))
    for top in {file.parts[0] for name in names for file in installed_files(name)}:
        if top != "__pycache__":
            (packages / top).symlink_to(library / top)
