"""The rows of a fold for one training: the last part of its training range validates the epochs."""

import numpy as np

from workers.learning.dataset import Dataset
from workers.learning.folds import FoldRanges, purged_fold
from workers.learning.splits import Split, TooShort
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.sections.labels import label_horizon
from workers.strategy.sections.model import sequence_length

VALIDATION_SHARE = 0.15


def embargo_of(strategy: TrainedStrategy) -> int:
    """Return the bars after a test range that training leaves out: its inputs and labels still reach into the range."""
    horizon = label_horizon(strategy.training.labels)
    own = strategy.training.data_split.embargo or 0
    return max(own, horizon, strategy.model.features.lookback_periods, sequence_length(strategy.model))


def split_fold(strategy: TrainedStrategy, dataset: Dataset, ranges: FoldRanges) -> Split:
    """Return training, validation and test rows of a fold.

    The last 15 % of the times of the training rows choose the epoch, purged and embargoed like a test range. Raises
    TooShort if a part is empty.
    """
    embargo = embargo_of(strategy)
    fold = purged_fold(dataset.time, dataset.end, ranges, embargo)
    if len(fold.train) == 0 or len(fold.test) == 0:
        raise TooShort("A fold has no rows to train or to test on; use longer windows or fewer groups.")
    times = np.unique(dataset.time[fold.train])
    first = int(times[int((1.0 - VALIDATION_SHARE) * len(times))])
    is_late = dataset.time[fold.train] >= first
    early, late = fold.train[~is_late & (dataset.end[fold.train] < first)], fold.train[is_late]
    opens = times[min(int(np.searchsorted(times, first)) + embargo, len(times) - 1)]
    late = late[dataset.time[late] >= opens]
    if len(early) == 0 or len(late) == 0:
        raise TooShort("A fold has too few rows to train on and to choose the epoch by; use longer windows.")
    left_out = fold.purged + len(fold.train) - len(early) - len(late)
    boundaries = (int(times[0]), first, ranges.test[0][0])
    return Split(early, late, fold.test, left_out, boundaries)
