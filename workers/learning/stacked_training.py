"""Train several networks together: those of one shape as stacks, the others alone."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from workers.learning.stacks import Stack
from workers.learning.trainer import train
from workers.learning.training_loop import Diverged, Loop, TrainedNetwork

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A training that has not started."""

    key: Hashable | None
    """Trainings of one key are stacked; None for one that runs alone."""
    start: Callable[[], Loop]
    ended: Callable[[TrainedNetwork | Exception], None]
    """Called as soon as the result is known, or with what `start` or the training raised."""


def train_together(trainings: Sequence[Waiting]) -> None:
    """Train all to their ends; the results have the bits of `train(start())`, whatever else runs in a stack.

    `on_epoch` of a training is called after all networks of its stack have finished an epoch, so that all states are complete.
    """
    groups: dict[Hashable, list[Waiting]] = {}
    for position, training in enumerate(trainings):
        groups.setdefault(position if training.key is None else training.key, []).append(training)
    for group in groups.values():
        if len(group) == 1:
            _train_alone(group[0])
        else:
            _Group(group).train()


def _train_alone(training: Waiting) -> None:
    training.ended(_attempt(lambda: train(training.start())))


def _attempt(work: Callable[[], T]) -> T | Exception:
    """Return the result, or the exception that was raised. Raises MemoryError."""
    try:
        return work()
    except MemoryError:
        raise
    except Exception as error:
        return error


@dataclass(slots=True)
class _Member:
    """A training of a stack."""

    training: Waiting
    loop: Loop
    seconds: float = 0.0

    def goes_on(self, stopped: str) -> bool:
        """Return whether the training goes on; end it if there is a reason to stop."""
        if stopped:
            self.training.ended(self.loop.result(stopped, self.seconds))
        return not stopped

    def finish_epoch(self, loss: float, score: float, seconds: float) -> bool:
        """Evaluate and record the epoch; return whether the training goes on."""
        self.seconds += seconds
        try:
            stopped = self.loop.finish_epoch(loss, score)
        except Diverged as error:
            self.training.ended(error)
            return False
        return self.goes_on(stopped)


def _start(training: Waiting) -> _Member | None:
    loop = _attempt(training.start)
    if isinstance(loop, Exception):
        training.ended(loop)
        return None
    # Its own dropout continues from here; torch's generator is the next network's too.
    loop.state.noise = torch.Generator()
    loop.state.noise.set_state(torch.get_rng_state())
    return _Member(training, loop)


class _Group:
    """Trains the networks of one stack; those that end leave it."""

    def __init__(self, trainings: Sequence[Waiting]) -> None:
        self._running = [member for each in trainings if (member := _start(each)) is not None]
        self._stack: Stack | None = None

    def train(self) -> None:
        while self._running:
            self._keep([member for member in self._running if member.goes_on(member.loop.start_epoch())])
            if not self._running:
                return
            started = time.monotonic()
            figures = self._stack_of_running().train_epoch()
            share = (time.monotonic() - started) / len(figures)
            rows = zip(self._running, figures, strict=True)
            self._keep([member for member, (loss, score) in rows if member.finish_epoch(loss, score, share)])
            self._keep([member for member in self._running if member.goes_on(member.loop.report_epoch())])

    def _keep(self, members: list[_Member]) -> None:
        if len(members) < len(self._running):
            self._running, self._stack = members, None

    def _stack_of_running(self) -> Stack:
        if self._stack is None:
            self._stack = Stack([member.loop for member in self._running])
        return self._stack
