"""Pin the packages of requirements/*.in, with the hashes of all files of each release: `make lock`.

pip-compile writes the files. It reads hashes only from PyPI's own JSON interface and downloads every file of an index
that has none; here it takes those that the index announces (PEP 503 and 691). The files contain no address of an index.

torch has files of its own, because its builds differ: torch-cpu.txt has the build for CPUs that an index given by
PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS has, torch-pypi.txt the build on PyPI, which needs the packages of cuda.txt on Linux.
"""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._internal.req import InstallRequirement
from piptools.locations import CACHE_DIR
from piptools.repositories import PyPIRepository
from piptools.scripts import compile as compiler

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
NAMES = ("agent", "importer", "web", "s3", "workers", "dev", "docs", "tools", "peers", "notebooks", "cuda")
TORCH = "torch"
OPTIONS = (
    "--quiet",
    "--no-header",
    "--strip-extras",
    "--generate-hashes",
    "--unsafe-package=pip",  # only pip itself stays without a pin
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
)
HASHES = re.compile(r" \\\n +--hash=sha256:[0-9a-f]{64}")
# With the comment that pip-compile writes above a pin without hashes.
TORCH_BLOCK = re.compile(r"^(?:# WARNING: .* to be hashed\.\n# .*\n)?torch==.*\n(?: +.*\n)*", re.MULTILINE)
PIP_NOTE = re.compile(r"\n# WARNING: The following packages were not pinned(?:.*\n)*")
OF_LINUX = re.compile(r"^((?:cuda|nvidia|triton)[\w-]*==\S+)", re.MULTILINE)


class HashesOfIndex(PyPIRepository):
    """A repository whose hashes are those that the index announces."""

    def _get_hashes_from_pypi(self, ireq: InstallRequirement) -> dict[str, str]:
        return {}

    def _get_matching_candidates(self, ireq: InstallRequirement) -> set[InstallationCandidate]:
        (pin,) = ireq.specifier
        return set() if ireq.name == TORCH else self.files_of(str(ireq.name), pin.version)

    def files_of(self, name: str, version: str) -> set[InstallationCandidate]:
        return {
            candidate for candidate in self.find_all_candidates(name) if str(candidate.version) == version
        }

    def _get_file_hash(self, link: Link) -> str:
        if link.hash_name == "sha256":
            return f"sha256:{link.hash}"
        return super()._get_file_hash(link)

    def hashes_of(self, name: str, version: str) -> list[str]:
        """Return the hashes of all files of the version, for any Python and system."""
        with self.allow_all_wheels():
            return sorted({self._get_file_hash(file.link) for file in self.files_of(name, version)})


def lock(name: str) -> None:
    """Write NAME.txt, or leave it as it is. Raises SystemExit if torch was resolved to its build on PyPI."""
    path = Path(f"{name}.txt")
    before = path.read_text() if path.exists() else None
    try:
        path.write_text(_resolve(name, path))
    except BaseException:
        if before is not None:
            path.write_text(before)
        raise


def _resolve(name: str, path: Path) -> str:
    """Return the content of NAME.txt. pip-compile keeps the versions that are in the file, and writes it."""
    if path.exists():
        # With known hashes, pip would prefer the files of an index to those of a folder.
        path.write_text(HASHES.sub("", path.read_text()))
    compiler.cli.main([*OPTIONS, "--output-file", f"{name}.txt", f"{name}.in"], standalone_mode=False)
    text = path.read_text()
    if name == "cuda":
        text = OF_LINUX.sub(r'\1 ; sys_platform == "linux"', text)
    elif OF_LINUX.search(text):
        sys.exit(
            f"requirements/{name}.txt has CUDA: set PIP_EXTRA_INDEX_URL to an index of CPU builds of torch"
        )
    return PIP_NOTE.sub("", TORCH_BLOCK.sub("", text))


def lock_torch() -> None:
    """Write torch-cpu.txt and torch-pypi.txt for the version in workers.in."""
    pin = re.search(r"^torch==([\d.]+)$", Path("workers.in").read_text(), re.MULTILINE)
    assert pin is not None, "workers.in pins torch"
    repository = HashesOfIndex([], cache_dir=CACHE_DIR)
    for build, version, first in (
        ("cpu", f"{pin[1]}+cpu", ""),
        ("pypi", pin[1], "-r cuda.txt\n"),
    ):
        hashes = repository.hashes_of(TORCH, version)
        Path(f"torch-{build}.txt").write_text(first + _pin(TORCH, version, hashes))


def _pin(name: str, version: str, hashes: Iterable[str]) -> str:
    return " \\\n    ".join([f"{name}=={version}", *(f"--hash={digest}" for digest in hashes)]) + "\n"


def main() -> None:
    os.chdir(REQUIREMENTS)
    os.environ["CUSTOM_COMPILE_COMMAND"] = "make lock"
    # pip-compile has no option for another repository.
    vars(compiler)["PyPIRepository"] = HashesOfIndex
    for name in sys.argv[1:] or NAMES:
        lock(name)
    lock_torch()


if __name__ == "__main__":
    main()
