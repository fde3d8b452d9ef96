"""Evaluate trials of kind `training`: train once per fold and seed, trade the predictions on the fold's test days."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import decisions
from workers.learning import checkpoint
from workers.learning.batches import Batches, outputs
from workers.learning.dataset import Dataset, build_dataset, run_lengths
from workers.learning.fold_split import split_fold
from workers.learning.folds import FoldRanges, walk_forward
from workers.learning.prepared_data import PreparedData, prepare_split
from workers.learning.segments import segment_numbers
from workers.learning.trainer import start, train
from workers.learning.training_loop import PAUSED, Epoch, Loop, State, TrainedNetwork
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.sections.model import sequence_length
from workers.strategy.trained_strategy import TrainedStrategy
from workers.studies.binding import BoundStudy
from workers.studies.evaluation import Outcome, explain
from workers.studies.fold_days import days_in, fold_ranges
from workers.studies.market import Market
from workers.studies.messages import Trial, TrialState
from workers.studies.scores import measure_days, objective_value, score, score_names
from workers.studies.sections import Validation
from workers.studies.segments import trade_only
from workers.studies.simulation import Simulator, TrialRun, rules_of
from workers.studies.training_progress import AT_RUNG, FoldRun, Progress, curves_of, key_of

Floats = NDArray[np.float64]
TRAINING_SHARE = 0.7
"""Of the bars, where a study has no validation."""


class Stopped(BaseException):
    """The job was cancelled during a training."""


OnEpoch = Callable[[Progress], bool]
"""Called after each epoch of a trial; returns whether to go on."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A training of a trial that has not ended."""

    trial: Trial
    progress: Progress
    strategy: TrainedStrategy
    data: PreparedData
    fold: int
    repeat: int

    @property
    def key(self) -> str:
        return key_of(self.fold, self.repeat)


class TrainingEvaluator:
    """Evaluates one trial after the other on one market."""

    def __init__(
        self,
        bound: BoundStudy,
        market: Market,
        seed: int,
        device: torch.device,
        *,
        rung: int = 0,
        validation: Validation | None = None,
    ) -> None:
        """`validation` replaces that of the study. Raises BadFolds."""
        self.bound, self.market, self._seed, self.device = bound, market, seed, device
        self._simulator = Simulator(market)
        self.folds = _folds(validation or bound.study.validation, market)
        self.days = [days_in(fold.test, market) for fold in self.folds]
        self._last_epoch = last_epoch_of(bound, rung)
        self.names = score_names(bound.study.objective)

    @property
    def trainings_per_trial(self) -> int:
        """One for each fold and seed."""
        return len(self.folds) * self.bound.study.repeat.seeds

    def evaluate(self, trial: Trial, progress: Progress, on_epoch: OnEpoch) -> Outcome:
        """Return the outcome; a trial that raises has failed. Raises Stopped, and MemoryError."""
        try:
            return self._evaluate(trial, progress, on_epoch)
        except MemoryError:
            raise
        except Exception as error:
            return Outcome(trial.number, TrialState.FAILED, error=explain(error), cpu_ms=progress.cpu_ms)

    def _evaluate(self, trial: Trial, progress: Progress, on_epoch: OnEpoch) -> Outcome:
        for training in self.pending(trial, progress):
            started = time.process_time()
            trained = train(self.start(training, on_epoch))
            self.take(training, trained)
            progress.cpu_ms += (time.process_time() - started) * 1e3
        return self.outcome(trial, progress)

    def pending(self, trial: Trial, progress: Progress) -> Iterator[Pending]:
        """Prepare the trainings of the trial that have not ended, by fold and seed. Raises InvalidInput, BadPoint."""
        strategy = trained_strategy(self.bound, trial)
        bars = {symbol.symbol: symbol.frames for symbol in self.market.symbols}
        start = self.market.symbols[0].test_bars.index[0].date()
        dataset = build_dataset(strategy, bars, start)
        for fold, ranges in enumerate(self.folds):
            data = None
            for repeat in range(self.bound.study.repeat.seeds):
                if progress.is_done(key_of(fold, repeat), self._last_epoch):
                    continue
                if data is None:
                    data = _prepare(strategy, dataset, ranges, fold)
                yield Pending(trial, progress, strategy, data, fold, repeat)

    def start(self, training: Pending, on_epoch: OnEpoch) -> Loop:
        """Return the training from where it was saved; it pauses at the last epoch of the rung."""
        progress, key, strategy, data = training.progress, training.key, training.strategy, training.data
        identity = f"{progress.number}/{key}"
        earlier, last = progress.saved.pop(key, {}) or progress.paused.pop(key, {}), self._last_epoch

        def restore(state: State) -> None:
            if earlier:
                checkpoint.restore(state, earlier[checkpoint.TENSORS], earlier[checkpoint.SCALARS], identity)

        def after_epoch(state: State, epoch: Epoch) -> bool:
            if epoch.epoch == last:
                progress.paused[key] = checkpoint.pack(state, identity)
            return on_epoch(progress)

        loop = start(
            strategy.model,
            strategy.training,
            data.x,
            data.parts,
            seed=self._seed_of(training.repeat),
            device=self.device,
            label_scale=data.label_scale,
            restore=restore,
            on_epoch=after_epoch,
            pause_after=last,
        )
        progress.running[key] = lambda: checkpoint.pack(loop.state, identity)
        if last is not None and loop.state.epoch > last:
            progress.paused[key] = earlier
        return loop

    def take(self, training: Pending, trained: TrainedNetwork) -> None:
        """Trade the training's predictions on the fold's test days and record both. Raises Stopped."""
        progress, key = training.progress, training.key
        if trained.stopped == "cancelled":
            raise Stopped
        run = self._trade(training, trained)
        part = measure_days(run, self.days[training.fold], self.market)
        if trained.stopped != PAUSED:
            progress.paused.pop(key, None)  # it ended with the last epoch of the rung
        progress.runs[key] = FoldRun(
            metric=score(part, self.bound.study.objective.metric),
            daily=part.daily.tolist(),
            trades=float(len(part.trades)),
            stopped=AT_RUNG if trained.stopped == PAUSED else trained.stopped,
            **curves_of(trained),
        )
        del progress.running[key]

    def _seed_of(self, repeat: int) -> int:
        """Return the seed of a training: the same for all trials, so that they differ only in their points."""
        if repeat == 0:
            return self._seed
        digest = hashlib.sha256(f"{self._seed}/repeat/{repeat}".encode()).digest()
        return int.from_bytes(digest[:6], "big")

    def _trade(self, training: Pending, trained: TrainedNetwork) -> TrialRun:
        """Trade the predictions on the test days only, flat before and after them."""
        strategy, data = training.strategy, training.data
        settings = self.bound.settings_of(training.trial.point)
        directions = []
        for symbol in self.market.symbols:
            values, positions = predict_symbol(strategy, data, trained, symbol.symbol, symbol.frames)
            decided = decisions.target_directions(
                strategy.decisions, values, allow_short=settings.allow_short
            )
            target = np.zeros(len(symbol.test_bars), np.int8)
            inside = positions >= symbol.start
            target[positions[inside] - symbol.start] = decided[inside]
            directions.append(target)
        rules = rules_of(settings, allow_short=strategy.decisions.allow_short)
        return self._simulator.run(
            trade_only(self.days[training.fold], directions, rules, self.market), rules
        )

    def outcome(self, trial: Trial, progress: Progress) -> Outcome:
        """Join the test days of all folds; a day tested several times, or with several seeds, has the mean return."""
        objective, total = self.bound.study.objective, np.zeros(len(self.market.days))
        count, of_folds = np.zeros(len(self.market.days)), []
        seeds = self.bound.study.repeat.seeds
        for fold, days in enumerate(self.days):
            runs = [progress.runs[key_of(fold, repeat)] for repeat in range(seeds)]
            for run in runs:
                total[days] += run.daily
                count[days] += 1
            known = [run.metric for run in runs if run.metric is not None]
            of_folds.append(float(np.mean(known)) if known else None)
        daily, tested = total / np.maximum(count, 1), count > 0
        trades = sum(run.trades for run in progress.runs.values()) / seeds
        scores = self._scores(daily[tested], trades)
        value = objective_value(objective, scores, of_folds) if trades else None
        state = TrialState.STOPPED_EARLY if progress.is_paused else TrialState.COMPLETED
        return Outcome(trial.number, state, value, scores, tuple(of_folds), progress.cpu_ms, daily=daily)

    def _scores(self, daily: Floats, trades: float) -> dict[str, float | None]:
        """Return the metrics of the joined test days that daily returns determine; the others are None."""
        run = TrialRun(daily, (), 1.0)
        part = measure_days(run, np.ones(len(daily), np.bool_), self.market)
        of_returns = ("sharpe", "sortino", "total_return", "max_drawdown", "cagr", "calmar")
        scores = {name: score(part, name) if name in of_returns else None for name in self.names}
        return scores | {"trades": trades}


def _prepare(strategy: TrainedStrategy, dataset: Dataset, ranges: FoldRanges, fold: int) -> PreparedData:
    try:
        return prepare_split(strategy, dataset, split_fold(strategy, dataset, ranges))
    except InvalidInput as error:
        raise InvalidInput(f"Fold {fold}: {error}") from error


def last_epoch_of(bound: BoundStudy, rung: int) -> int | None:
    """Return the epoch at which trainings of a rung pause; None where they go on to their end."""
    stop = bound.study.stop_early
    return stop.rungs[rung - 1] if stop is not None and 0 < rung <= len(stop.rungs) else None


def trained_strategy(bound: BoundStudy, trial: Trial) -> TrainedStrategy:
    """Return the strategy of a trial. Raises BadPoint."""
    strategy = bound.strategy_of(trial.point)
    assert isinstance(strategy, TrainedStrategy), "a study of kind training has a strategy that is trained"
    return strategy


def _folds(validation: Validation | None, market: Market) -> list[FoldRanges]:
    """Return the folds of the validation; without one, the first 70 % of the bars train and the others test."""
    if validation is not None:
        return fold_ranges(validation, market.times)
    first = int(TRAINING_SHARE * len(market.times))
    return walk_forward(market.times, first, len(market.times) - first)


def predict_symbol(
    strategy: TrainedStrategy,
    data: PreparedData,
    trained: TrainedNetwork,
    symbol: str,
    frames: Mapping[str, pd.DataFrame],
) -> tuple[Floats, NDArray[np.intp]]:
    """Return (predictions as `decisions` reads them, positions of their bars among the base bars)."""
    dataset, length = data.dataset, sequence_length(strategy.model)
    index = pd.DatetimeIndex(frames[strategy.base_timeframe].index)
    rows = dataset.rows_of_symbol[symbol]
    positions = np.searchsorted(unix_nanoseconds(index), dataset.bar_time[rows])
    complete = run_lengths(positions, segment_numbers(index, strategy.base_timeframe)) >= length
    chosen = np.flatnonzero(complete)
    device = next(trained.network.parameters()).device
    batches = Batches(torch.from_numpy(data.x).to(device), length)
    out = outputs(trained.network, batches, torch.from_numpy(chosen + rows.start).to(device)).cpu().double()
    if strategy.is_classification:
        return torch.softmax(out, dim=1).numpy(), positions[chosen]
    forecast = out.squeeze(1).numpy() * data.label_scale + data.label_mean
    return forecast, positions[chosen]
