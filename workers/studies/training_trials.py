"""Evaluate trials of kind `training`: train once per fold and seed, trade the predictions on the fold's test days."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
from workers.learning.trainer import Epoch, State, TrainedNetwork, train
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.sections.model import sequence_length
from workers.strategy.trained_strategy import TrainedStrategy
from workers.studies.binding import BoundStudy
from workers.studies.evaluation import Outcome, explain
from workers.studies.fold_days import days_in, fold_ranges
from workers.studies.market import Market
from workers.studies.messages import Trial, TrialState
from workers.studies.scores import measure_days, objective_value, score, score_names
from workers.studies.segments import trade_only
from workers.studies.simulation import Simulator, TrialRun, rules_of

Floats = NDArray[np.float64]
Directions = NDArray[np.int8]
Saved = Mapping[str, bytes]
TRAINING_SHARE = 0.7
"""Of the bars, where a study has no validation."""


class Stopped(BaseException):
    """The job was cancelled during a training."""


@dataclass(slots=True)
class Progress:
    """The finished trainings of the running trial, by fold and seed, and the state of the running one."""

    number: int
    metrics: dict[str, float | None] = field(default_factory=dict)
    """The objective's metric of each finished training."""
    daily: dict[str, list[float]] = field(default_factory=dict)
    """Its returns on the test days of its fold."""
    trades: dict[str, float] = field(default_factory=dict)
    cpu_ms: float = 0.0
    running: Saved = field(default_factory=dict)

    def as_files(self) -> dict[str, bytes]:
        state = {name: getattr(self, name) for name in ("number", "metrics", "daily", "trades", "cpu_ms")}
        return {"trial.json": json.dumps(state).encode(), **self.running}

    @classmethod
    def from_files(cls, files: Saved) -> "Progress | None":
        if "trial.json" not in files:
            return None
        running = {name: files[name] for name in (checkpoint.TENSORS, checkpoint.SCALARS) if name in files}
        return cls(**json.loads(files["trial.json"]), running=running)


OnEpoch = Callable[[Progress, Callable[[], Saved]], bool]
"""Called after each epoch with the trial's progress and a function that packs the running training; returns whether to go on."""


class TrainingEvaluator:
    """Evaluates one trial after the other on one market."""

    def __init__(self, bound: BoundStudy, market: Market, seed: int, rung: int, device: torch.device) -> None:
        self.bound, self.market, self._seed, self._device = bound, market, seed, device
        self._simulator = Simulator(market)
        self.folds = _folds(bound, market)
        self.days = [days_in(fold.test, market) for fold in self.folds]
        stop = bound.study.stop_early
        self._last_epoch = stop.rungs[rung - 1] if stop is not None and rung else None
        self.names = score_names(bound.study.objective)

    def evaluate(self, trial: Trial, progress: Progress, on_epoch: OnEpoch) -> Outcome:
        """Return the outcome; a trial that raises has failed. Raises Stopped, and MemoryError."""
        try:
            return self._evaluate(trial, progress, on_epoch)
        except MemoryError:
            raise
        except Exception as error:
            return Outcome(trial.number, TrialState.FAILED, error=explain(error), cpu_ms=progress.cpu_ms)

    def _evaluate(self, trial: Trial, progress: Progress, on_epoch: OnEpoch) -> Outcome:
        strategy = self.bound.strategy_of(trial.point)
        assert isinstance(strategy, TrainedStrategy), (
            "a study of kind training has a strategy that is trained"
        )
        bars = {symbol.symbol: symbol.frames for symbol in self.market.symbols}
        start = self.market.symbols[0].test_bars.index[0].date()
        dataset = build_dataset(strategy, bars, start)
        for fold, ranges in enumerate(self.folds):
            data = None
            for repeat in range(self.bound.study.repeat.seeds):
                key = f"{fold}/{repeat}"
                if key in progress.daily:
                    continue
                if data is None:
                    data = _prepare(strategy, dataset, ranges, fold)
                self._train_and_trade(trial, strategy, data, fold, repeat, progress, on_epoch)
        return self._outcome(trial, progress)

    def _train_and_trade(
        self,
        trial: Trial,
        strategy: TrainedStrategy,
        data: PreparedData,
        fold: int,
        repeat: int,
        progress: Progress,
        on_epoch: OnEpoch,
    ) -> None:
        key, started = f"{fold}/{repeat}", time.process_time()
        identity = f"{trial.number}/{key}/{self._last_epoch}"
        trained = self._train(strategy, data, self._seed_of(repeat), identity, progress, on_epoch)
        run = self._trade(trial, strategy, data, trained, fold)
        part = measure_days(run, self.days[fold], self.market)
        progress.daily[key] = part.daily.tolist()
        progress.metrics[key] = score(part, self.bound.study.objective.metric)
        progress.trades[key] = float(part.entries)
        progress.running = {}
        progress.cpu_ms += (time.process_time() - started) * 1e3

    def _train(
        self,
        strategy: TrainedStrategy,
        data: PreparedData,
        seed: int,
        identity: str,
        progress: Progress,
        on_epoch: OnEpoch,
    ) -> TrainedNetwork:
        stopped = False

        def restore(state: State) -> None:
            if progress.running:
                files = progress.running
                checkpoint.restore(state, files[checkpoint.TENSORS], files[checkpoint.SCALARS], identity)

        def after_epoch(state: State, epoch: Epoch) -> bool:
            nonlocal stopped
            stopped = not on_epoch(progress, lambda: checkpoint.pack(state, identity))
            return not stopped and epoch.epoch != self._last_epoch

        trained = train(
            strategy.model,
            strategy.training,
            data.x,
            data.parts,
            seed=seed,
            device=self._device,
            label_scale=data.label_scale,
            restore=restore,
            on_epoch=after_epoch,
        )
        if stopped:
            raise Stopped
        return trained

    def _seed_of(self, repeat: int) -> int:
        """Return the seed of a training: the same for all trials, so that they differ only in their points."""
        if repeat == 0:
            return self._seed
        digest = hashlib.sha256(f"{self._seed}/repeat/{repeat}".encode()).digest()
        return int.from_bytes(digest[:6], "big")

    def _trade(
        self, trial: Trial, strategy: TrainedStrategy, data: PreparedData, trained: TrainedNetwork, fold: int
    ) -> TrialRun:
        """Trade the predictions on the test days only, flat before and after them."""
        settings = self.bound.settings_of(trial.point)
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
        return self._simulator.run(trade_only(self.days[fold], directions, rules, self.market), rules)

    def _outcome(self, trial: Trial, progress: Progress) -> Outcome:
        """Join the test days of all folds; a day tested several times, or with several seeds, has the mean return."""
        objective, total = self.bound.study.objective, np.zeros(len(self.market.days))
        count = np.zeros(len(self.market.days))
        of_folds = []
        seeds = self.bound.study.repeat.seeds
        for fold, days in enumerate(self.days):
            keys = [f"{fold}/{repeat}" for repeat in range(seeds)]
            for key in keys:
                total[days] += progress.daily[key]
                count[days] += 1
            values = [progress.metrics[key] for key in keys]
            known = [value for value in values if value is not None]
            of_folds.append(float(np.mean(known)) if known else None)
        daily = total / np.maximum(count, 1)
        tested = count > 0
        trades = sum(progress.trades.values()) / seeds
        scores = self._scores(daily[tested], trades)
        value = objective_value(objective, scores, of_folds) if trades else None
        return Outcome(
            trial.number, TrialState.COMPLETED, value, scores, tuple(of_folds), progress.cpu_ms, daily=daily
        )

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


def _folds(bound: BoundStudy, market: Market) -> list[FoldRanges]:
    """Return the folds of the validation; without one, the first 70 % of the bars train and the others test."""
    validation = bound.study.validation
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
