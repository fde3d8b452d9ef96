"""Evaluate several trials of kind `training` together: trainings whose networks have one shape run as one computation.

The results are those of one training after the other, bit for bit, whatever runs together; see `workers.learning.stacks`.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workers.learning.stacked_training import Waiting, train_together
from workers.learning.stacks import stack_key
from workers.learning.training_loop import TrainedNetwork
from workers.studies.evaluation import Outcome, explain
from workers.studies.messages import Trial, TrialState
from workers.studies.training_progress import Progress, fold_and_seed
from workers.studies.training_trials import OnEpoch, Pending, TrainingEvaluator

VARIABLE = "KTRDR_STACKED_TRAININGS"
MOST_AT_ONCE = 1000
MOST_BYTES = 256 << 20
"""Of the inputs of the trainings that run together."""
UNPREPARED = (1 << 30, 0)
"""Fold and seed of a training that could not be prepared: after all that were."""
Begun = Sequence[tuple[Trial, Progress]]


def trainings_at_once() -> int:
    """Return the most trainings that run together: KTRDR_STACKED_TRAININGS, 1 if it is not set."""
    text = os.environ.get(VARIABLE, "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_AT_ONCE:
        raise RuntimeError(f"{VARIABLE}={text[:80]} must be a whole number from 1 to {MOST_AT_ONCE:,}.")
    return int(text)


def evaluate_together(
    evaluator: TrainingEvaluator, trials: Begun, at_once: int, on_epoch: OnEpoch
) -> list[Outcome]:
    """Return the outcomes in the order of the trials, with at most `at_once` trainings together. Raises Stopped, MemoryError."""
    return _Together(evaluator, trials, at_once, on_epoch).evaluate()


@dataclass(slots=True)
class _Together:
    """Trials whose trainings run together."""

    evaluator: TrainingEvaluator
    trials: Begun
    at_once: int
    on_epoch: OnEpoch
    errors: dict[int, dict[tuple[int, int], Exception]] = field(default_factory=dict)
    """By trial, and by fold and seed of the training that raised."""

    def evaluate(self) -> list[Outcome]:
        window: list[Pending] = []
        for training in self._pending():
            if len(window) == self.at_once or _bytes_of([*window, training]) > MOST_BYTES:
                self._train(window)
                window = []
            window.append(training)
        self._train(window)
        return [self._outcome(trial, progress) for trial, progress in self.trials]

    def _pending(self) -> Iterator[Pending]:
        """Prepare the trainings of all trials; one that cannot be prepared ends its trial."""
        for trial, progress in self.trials:
            try:
                for training in self.evaluator.pending(trial, progress):
                    if trial.number in self.errors:
                        break
                    yield training
            except MemoryError:
                raise
            except Exception as error:
                self._fail(trial, UNPREPARED, error)

    def _train(self, window: Sequence[Pending]) -> None:
        """Train and trade; each trial has an equal part of the processor time. Raises Stopped."""
        started = time.process_time()
        train_together([self._waiting(training) for training in window])
        for training in window:
            training.progress.cpu_ms += (time.process_time() - started) * 1e3 / len(window)

    def _waiting(self, training: Pending) -> Waiting:
        evaluator = self.evaluator
        return Waiting(
            stack_key(training.strategy.model, training.strategy.training, training.data, evaluator.device),
            lambda: evaluator.start(training, self.on_epoch),
            lambda trained: self._take(training, trained),
        )

    def _take(self, training: Pending, trained: TrainedNetwork | Exception) -> None:
        try:
            if isinstance(trained, Exception):
                raise trained
            self.evaluator.take(training, trained)
        except MemoryError:
            raise
        except Exception as error:
            self._fail(training.trial, (training.fold, training.repeat), error)

    def _fail(self, trial: Trial, place: tuple[int, int], error: Exception) -> None:
        self.errors.setdefault(trial.number, {})[place] = error

    def _outcome(self, trial: Trial, progress: Progress) -> Outcome:
        errors = self.errors.get(trial.number)
        if not errors:
            return self.evaluator.outcome(trial, progress)
        # As if its trainings had run one after the other: up to the first that raised.
        first = min(errors)
        for key in [key for key in progress.runs if fold_and_seed(key) > first]:
            del progress.runs[key]
        return Outcome(trial.number, TrialState.FAILED, error=explain(errors[first]), cpu_ms=progress.cpu_ms)


def _bytes_of(window: Sequence[Pending]) -> int:
    """Return the bytes of the inputs, as they are and in the order of an epoch."""
    datasets = {id(training.data.dataset): training.data.dataset.features.nbytes for training in window}
    matrices = {id(training.data): training.data.x.nbytes for training in window}
    return (
        sum(datasets.values()) + sum(matrices.values()) + sum(training.data.x.nbytes for training in window)
    )
