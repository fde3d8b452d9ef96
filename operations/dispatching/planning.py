"""Reads what a round needs: the free workers, the lanes that they can serve, and how much each user has running.

A demand and the capabilities of a profile never change, so the planner of a dispatcher remembers which fit together.
The cost of a round depends on the number of free workers and of the lanes that they can serve.
"""

import json
import time
from collections import Counter
from collections.abc import Collection

from access.isolation import isolated
from access.prepared import fetch
from operations import quotas
from operations.dispatching import admission, lanes, workers
from operations.dispatching.turns import Plan
from operations.dispatching.workers import ProfileKey
from operations.models import Demand
from operations.quotas import Allowance
from registry.workforce import meets

MAX_PROFILES = 5_000
MAX_KNOWN_DEMANDS = 20_000
ALLOWANCES_AGE_S = 1.0
_RUNNING = """
    SELECT COALESCE(created_by_id, 0), count(*) FROM operations_operation
    WHERE status IN ('CANCELLING', 'DISPATCHING', 'RUNNING') GROUP BY 1
"""
"""The condition of the index `operation_active`, word for word."""


class Planner:
    """Makes the plan of each round. `Planner().make_plan()` is one without a memory."""

    def __init__(self) -> None:
        self._demands: dict[str, Demand] = {}
        self._fitting: dict[ProfileKey, set[str]] = {}
        self._allowances: dict[int, Allowance] = {}
        self._allowances_read = 0.0
        self._turns: dict[int, float] = {}

    def make_plan(self) -> Plan:
        """Admit what is due to the queue, and plan the claims of the next round."""
        admission.admit_due()
        return self.plan_ready()

    def plan_ready(self) -> Plan:
        """Plan the claims of what is in the queue already."""
        if len(self._demands) > MAX_KNOWN_DEMANDS:
            # Most have ended; the next rounds read those that wait again.
            self._demands.clear()
            self._fitting.clear()
        free = workers.free_profiles()
        for key in free.keys() - self._fitting.keys():
            self._fitting[key] = set(_matches(key, self._demands.values()))
        fitting = {key: self._fitting[key] for key in free}
        if len(self._fitting) > MAX_PROFILES:
            self._fitting = dict(fitting)
        if not free:
            return Plan([], {}, {})
        types = {operation_type for operation_type, _ in free}
        met = set[str]().union(*fitting.values())
        unmet = [digest for digest, demand in self._demands.items() if demand.operation_type in types]
        heads = lanes.heads(types, set(unmet) - met)
        self._learn({lane.demand for lane in heads} - self._demands.keys())
        met = set[str]().union(*fitting.values())
        served = [lane for lane in heads if lane.demand in met]
        if not served:
            return Plan([], {}, {})
        owners = {lane.owner for lane in served}
        # One owner shares the workers with nobody.
        running = _running() if len(owners) > 1 else Counter()
        return Plan(served, free, fitting, running, self._allowances_of(owners), self._turns)

    def _allowances_of(self, owners: set[int]) -> dict[int, Allowance]:
        """Return the allowances; a change takes effect within ALLOWANCES_AGE_S."""
        now = time.monotonic()
        if now - self._allowances_read > ALLOWANCES_AGE_S or not owners <= self._allowances.keys():
            self._allowances = quotas.allowances(owners)
            self._allowances_read = now
        return self._allowances

    def _learn(self, digests: Collection[str]) -> None:
        """Match demands that are new to this dispatcher with the profiles that it knows."""
        if not digests:
            return
        demands = Demand.objects.in_bulk(list(digests))
        self._demands |= demands
        for key, fitting in self._fitting.items():
            fitting.update(_matches(key, demands.values()))


def _matches(key: ProfileKey, demands: Collection[Demand]) -> list[str]:
    operation_type, capabilities = key
    has = json.loads(capabilities)
    fitting = []
    for demand in demands:
        with isolated("matching a demand", demand=demand.digest, atomic=False):
            if demand.operation_type == operation_type and meets(has, demand.requirements):
                fitting.append(demand.digest)
    return fitting


def _running() -> Counter[int]:
    return Counter(dict(fetch(_RUNNING, {})))
