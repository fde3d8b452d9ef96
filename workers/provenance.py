"""Record the origin of a result: enough to reproduce it, and to explain why another one differs."""

import hashlib
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "pandas", "numba", "TA-Lib", "torch", "pyarrow", "safetensors")


@cache
def code_version() -> str:
    """Return the first 16 digits of a SHA-256 over the source of the workers and the agent.

    It does not depend on the place of installation.
    """
    digest = hashlib.sha256()
    workers_dir = Path(__file__).resolve().parent
    for room in (workers_dir, workers_dir.parent / "worker_agent"):
        for path in sorted(room.rglob("*.py")):
            digest.update(f"{path.relative_to(workers_dir.parent)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect results."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_hashes(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each `bars/SYMBOL/TIMEFRAME.parquet`, by `SYMBOL/TIMEFRAME`."""
    return {
        name.removeprefix("bars/").removesuffix(".parquet"): file_sha256(path)
        for name, path in sorted(inputs.items())
        if name.startswith("bars/")
    }


def provenance(
    *,
    strategy_sha256: str | None,
    data: dict[str, str],
    seed: int | None,
    device: str,
    model_sha256: str | None = None,
) -> dict[str, Any]:
    """Return the provenance of a result, as stored with it."""
    return {
        "strategy_sha256": strategy_sha256,
        "data_sha256": data,
        "model_sha256": model_sha256,
        "seed": seed,
        "device": device,
        "packages": package_versions(),
        "code_version": code_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
