"""The job as work that resumes from its checkpoint sees it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Resume(Protocol):
    @property
    def files(self) -> Mapping[str, bytes]: ...


class ResumableJob(Protocol):
    """The part of a job that work with checkpoints uses."""

    @property
    def inputs(self) -> Mapping[str, Path]: ...
    @property
    def resume(self) -> Resume | None: ...
    @property
    def cancelled(self) -> bool: ...
    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None: ...
    def log(self, line: str, level: str = "info") -> None: ...
    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None: ...
    def artifact(self, name: str, content: bytes) -> None: ...
