"""A trained model, and jobs of batches that record what they report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.quant.backtesting.conftest import trained

__all__ = ["trained"]


@dataclass
class Saved:
    files: Mapping[str, bytes]


@dataclass
class StudyJob:
    """Records the calls of a batch or a report; `stop_after` cancels after so many looks at `cancelled`."""

    inputs: Mapping[str, Path]
    resume: Saved | None = None
    stop_after: int | None = None
    artifacts: dict[str, bytes] = field(default_factory=dict)
    checkpoints: list[Mapping[str, bytes]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    metrics: list[tuple[str, int, float]] = field(default_factory=list)
    looks: int = 0

    @property
    def cancelled(self) -> bool:
        self.looks += 1
        return self.stop_after is not None and self.looks >= self.stop_after

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        assert 0 <= percentage <= 100

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.append((name, step, value))

    def log(self, line: str, level: str = "info") -> None:
        self.lines.append(f"{level}: {line}")

    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None:
        self.checkpoints.append(dict(files))

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content
