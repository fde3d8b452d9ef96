"""Decides which operation gets the next free worker.

The ready operation with the lowest rank, which is the one with the highest priority after ageing, sets the level: all
users with an operation of at least its own priority take turns, those with the fewest running operations (in proportion
to their weight) first, and among those the one whose last turn is the longest ago. So a higher priority comes first, a
long queue of one user does not delay the others, and an operation of low priority is reached eventually.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from operations.dispatching.lanes import Lane
from operations.dispatching.workers import ProfileKey
from operations.quotas import Allowance

MAX_MISSES = 5


@dataclass(slots=True)
class Plan:
    """What one round of a dispatcher knows. Claims update it, so that it is read from the database only once a round."""

    lanes: list[Lane]
    free: dict[ProfileKey, int]
    """Number of free workers of each profile. A worker counts once for each operation type it announced."""
    fitting: Mapping[ProfileKey, set[str]]
    """The demands that workers of the profile meet."""
    running: Counter[int] = field(default_factory=Counter)
    """Active operations by owner."""
    allowances: Mapping[int, Allowance] = field(default_factory=dict)
    """By owner, of all lanes."""
    served: dict[int, float] = field(default_factory=dict)
    """When each owner had its last turn at this dispatcher, by the clock."""
    clock: Callable[[], float] = time.monotonic
    failed: set[str] = field(default_factory=set)
    """Operations whose claim raised; not tried again in this round."""
    claims_together: bool = True
    """Whether several operations may be claimed in one transaction; not after one of them raised in this round."""
    misses: int = 0
    """Demands in a row for which no worker was free."""

    def choose(self) -> Lane | None:
        """Return the lane whose head gets the next free worker; None if no worker is left for any of them."""
        if not self.lanes:
            return None
        level = min(self.lanes, key=lambda lane: lane.rank).priority
        return min(
            (lane for lane in self.lanes if lane.priority >= level),
            key=lambda lane: (*self._turn(lane.owner), lane.rank),
        )

    def _turn(self, owner: int) -> tuple[float, float]:
        """Return the share of the workers that the owner has, and how long ago its last turn was; both by its weight.

        With more users than workers most shares are 0, and the time decides.
        """
        weight = self.allowances[owner].weight
        waited_s = self.clock() - self.served.get(owner, -inf)
        return self.running[owner] / weight, -waited_s * weight

    def consecutive(self, lane: Lane) -> int:
        """Return how many operations of the chosen lane may be claimed before it can be another lane's turn."""
        if len(self.lanes) > 1 or not self.claims_together:
            return 1
        free = (number for key, number in self.free.items() if lane.demand in self.fitting[key])
        return max(1, sum(free))

    def close(self, lane: Lane) -> None:
        """Remove a lane that has no operation left, unless it was removed already."""
        self.lanes = [other for other in self.lanes if other is not lane]

    def close_owner(self, owner: int) -> None:
        """Remove the lanes of an owner who may not have more operations running."""
        self.lanes = [lane for lane in self.lanes if lane.owner != owner]

    def close_demand(self, demand: str) -> None:
        """Remove the lanes of a demand whose type has no slot left."""
        self.lanes = [lane for lane in self.lanes if lane.demand != demand]

    def exhaust(self, demand: str) -> None:
        """Note that no worker is free for the demand after all; after a few of these, give up the round.

        Another dispatcher has probably taken the workers, and the next notification brings the next round.
        """
        self.misses += 1
        self.lanes = [lane for lane in self.lanes if lane.demand != demand and self.misses < MAX_MISSES]

    def take(self, lane: Lane, key: ProfileKey) -> None:
        """Note that the head of the lane got a worker of this profile."""
        self.misses = 0
        self.running[lane.owner] += 1
        self.served[lane.owner] = self.clock()
        self.free[key] = max(0, self.free.get(key, 0) - 1)
        if not self.free[key]:
            met = set[str]().union(*(self.fitting[key] for key, number in self.free.items() if number))
            self.lanes = [lane for lane in self.lanes if lane.demand in met]
