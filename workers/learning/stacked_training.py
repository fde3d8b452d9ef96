"""Train several networks together: those of one shape as stacks, the others alone."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch

from workers.learning.stacks import Stack
from workers.learning.trainer import train
from workers.learning.training_loop import Diverged, Loop, TrainedNetwork


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

    `on_epoch` of a training is called when all networks of its stack have finished the same round, so that the state of each of
    them is complete.
    """
    groups: dict[Hashable, list[Waiting]] = {}
    for position, training in enumerate(trainings):
        groups.setdefault(position if training.key is None else training.key, []).append(training)
    for group in groups.values():
        if len(group) == 1:
            _train_alone(group[0])
        else:
            _Round(group).train()


def _train_alone(training: Waiting) -> None:
    try:
        trained = train(training.start())
    except MemoryError:
        raise
    except Exception as error:
        training.ended(error)
    else:
        training.ended(trained)


@dataclass(slots=True)
class _Member:
    training: Waiting
    loop: Loop
    seconds: float = 0.0

    def end(self, stopped: str) -> None:
        self.training.ended(self.loop.result(stopped, self.seconds))


class _Round:
    """Trains the networks of one stack; those that end leave it."""

    def __init__(self, trainings: Sequence[Waiting]) -> None:
        self._running = [member for each in trainings if (member := _begin(each)) is not None]
        self._stack: Stack | None = None

    def train(self) -> None:
        while self._running:
            self._keep([member for member in self._running if _goes_on(member, member.loop.start_epoch())])
            if not self._running:
                return
            started = time.monotonic()
            figures = self._stack_of_running().train_epoch()
            share = (time.monotonic() - started) / len(figures)
            rows = list(zip(self._running, figures, strict=True))
            self._keep(
                [member for member, (loss, score) in rows if _finish_epoch(member, loss, score, share)]
            )
            self._keep([member for member in self._running if _goes_on(member, member.loop.report_epoch())])

    def _keep(self, members: list[_Member]) -> None:
        if len(members) < len(self._running):
            self._running, self._stack = members, None

    def _stack_of_running(self) -> Stack:
        if self._stack is None:
            self._stack = Stack([member.loop for member in self._running])
        return self._stack


def _begin(training: Waiting) -> _Member | None:
    try:
        loop = training.start()
    except MemoryError:
        raise
    except Exception as error:
        training.ended(error)
        return None
    # Where its own dropout would continue, if torch's generator were not the next network's too.
    loop.state.noise = torch.Generator()
    loop.state.noise.set_state(torch.get_rng_state())
    return _Member(training, loop)


def _goes_on(member: _Member, stopped: str) -> bool:
    if stopped:
        member.end(stopped)
    return not stopped


def _finish_epoch(member: _Member, loss: float, score: float, seconds: float) -> bool:
    """Evaluate and record the epoch; return whether the training goes on."""
    member.seconds += seconds
    try:
        stopped = member.loop.finish_epoch(loss, score)
    except Diverged as error:
        member.training.ended(error)
        return False
    return _goes_on(member, stopped)
