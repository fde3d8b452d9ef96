"""The trainings of one trial: finished ones, one that runs, and those that wait at a rung of early stopping."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workers.learning.training_loop import TrainedNetwork
from workers.studies.archive import pack, unpack

Saved = Mapping[str, bytes]
AT_RUNG = "rung"
"""How a training stopped that continues at the next rung."""
_TRIAL, _PAUSED, _RUNNING = "trial.json", "paused.zip", "running.zip"


@dataclass(frozen=True, slots=True)
class FoldRun:
    """A training on one fold with one seed, and its trades on the test days of the fold."""

    metric: float | None
    """The objective's."""
    daily: list[float]
    """Returns on the test days."""
    trades: float
    stopped: str
    """As in `TrainedNetwork`, or `rung`."""
    best_epoch: int
    train_loss: list[float]
    validation_loss: list[float]
    """By epoch."""


def curves_of(trained: TrainedNetwork) -> dict[str, Any]:
    """Return the fields of a `FoldRun` that its training gives."""
    return {
        "best_epoch": trained.best_epoch,
        "train_loss": [round(epoch.train_loss, 6) for epoch in trained.history],
        "validation_loss": [round(epoch.validation_loss, 6) for epoch in trained.history],
    }


def key_of(fold: int, seed: int) -> str:
    """Return the key of a training in its trial; both count from 0."""
    return f"{fold}-{seed}"


def fold_and_seed(key: str) -> tuple[int, int]:
    """Return what `key_of` was called with."""
    fold, seed = key.split("-")
    return int(fold), int(seed)


@dataclass(slots=True)
class Progress:
    """A trial while it runs; its trainings by `key_of`."""

    number: int
    runs: dict[str, FoldRun] = field(default_factory=dict)
    cpu_ms: float = 0.0
    saved: dict[str, Saved] = field(default_factory=dict)
    """The states of trainings that ran when the trial was saved, and have not started again."""
    running: dict[str, Callable[[], Saved]] = field(default_factory=dict)
    """Of each training that runs, the function that returns its state."""
    paused: dict[str, Saved] = field(default_factory=dict)
    """The states of the trainings that wait at a rung."""

    def is_done(self, key: str, last_epoch: int | None) -> bool:
        """Return whether the training has ended, or waits after the last epoch of this rung."""
        run = self.runs.get(key)
        return run is not None and (run.stopped != AT_RUNG or len(run.train_loss) == last_epoch)

    @property
    def is_paused(self) -> bool:
        return any(run.stopped == AT_RUNG for run in self.runs.values())

    def as_files(self) -> dict[str, bytes]:
        """Return the files of a checkpoint."""
        states = self.saved | {key: state() for key, state in self.running.items()}
        return {**self._files(), _RUNNING: _pack_states(states)}

    def at_rung(self) -> bytes:
        """Return what the next rung continues from."""
        return pack(self._files())

    @classmethod
    def from_rung(cls, content: bytes) -> "Progress":
        """Continue after a rung; its processor time was counted there."""
        progress = cls.from_files(unpack(content))
        progress.cpu_ms = 0.0
        return progress

    def _files(self) -> dict[str, bytes]:
        runs = {key: asdict(run) for key, run in self.runs.items()}
        state = {"number": self.number, "cpu_ms": self.cpu_ms, "runs": runs}
        return {_TRIAL: json.dumps(state).encode(), _PAUSED: _pack_states(self.paused)}

    @classmethod
    def from_files(cls, files: Saved) -> "Progress":
        state = json.loads(files[_TRIAL])
        return cls(
            number=state["number"],
            runs={key: FoldRun(**run) for key, run in state["runs"].items()},
            cpu_ms=state["cpu_ms"],
            saved=_unpack_states(files[_RUNNING]) if _RUNNING in files else {},
            paused=_unpack_states(files[_PAUSED]),
        )


def _pack_states(states: Mapping[str, Saved]) -> bytes:
    return pack(
        {f"{key}/{name}": content for key, files in states.items() for name, content in files.items()}
    )


def _unpack_states(content: bytes) -> dict[str, Saved]:
    states: dict[str, dict[str, bytes]] = {}
    for name, part in unpack(content).items():
        key, _, file = name.partition("/")
        states.setdefault(key, {})[file] = part
    return dict(states)
