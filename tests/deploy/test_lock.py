"""`make lock` writes a whole file or none."""

import importlib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PINNED = "click==8.3.1 \\\n    --hash=sha256:" + "0a" * 32 + "\n"
ENDINGS = [KeyboardInterrupt(), SystemExit("could not find a version"), OSError("the index does not respond")]


@pytest.fixture
def lock() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the modules that pip-tools imports
        return importlib.import_module("tools.lock")


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
def test_a_lock_that_ends_early_leaves_the_file_as_it_was(
    lock: ModuleType, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text(PINNED)

    def compile_and_fail(*values: Any, **named: Any) -> None:
        assert "--hash" not in (tmp_path / "x.txt").read_text()
        raise error

    monkeypatch.setattr(lock.compiler.cli, "main", compile_and_fail)
    with pytest.raises(type(error)):
        lock.lock("x")
    assert (tmp_path / "x.txt").read_text() == PINNED


def test_cuda_for_another_file_is_refused_and_leaves_it_as_it_was(
    lock: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text(PINNED)
    monkeypatch.setattr(
        lock.compiler.cli,
        "main",
        lambda *v, **n: (tmp_path / "x.txt").write_text("nvidia-nccl-cu13==2.29.7\n"),
    )
    with pytest.raises(SystemExit, match="has CUDA"):
        lock.lock("x")
    assert (tmp_path / "x.txt").read_text() == PINNED
