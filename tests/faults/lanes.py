"""Agents that the backend reaches, and that reach the backend, only through proxies that can misbehave."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.faults.processes import free_port
from tests.faults.proxy import Fault, FaultyProxy, Matcher
from tests.faults.system import System
from tests.waiting import until

LASTS_S = 1.2
"""Longer than the health timeout, shorter than two health checks: more would be the loss of the worker."""
LATE_S = 1.5
"""When the asker has given up."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One agent of its own for each kind of fault, so that all kinds are tried at the same time."""

    fault: Fault
    agent: str
    to_agent: FaultyProxy
    to_backend: FaultyProxy

    def misbehave(self, matches: Matcher, *, to_backend: bool, clock_factor: float) -> None:
        """Disturb the requests that match, for a while after the first of them."""
        proxy = self.to_backend if to_backend else self.to_agent
        proxy.misbehave(self.fault, matches, clock_factor * LASTS_S, clock_factor * LATE_S)

    def behave(self) -> None:
        self.to_agent.behave()
        self.to_backend.behave()

    @property
    def hits(self) -> int:
        return self.to_agent.hits + self.to_backend.hits

    @property
    def behaves(self) -> bool:
        return self.to_agent.fault is self.to_backend.fault is Fault.NONE

    def submit(self, system: System, **parameters: object) -> str:
        return system.api.submit(requirements={"lane": self.agent}, **parameters)


@contextmanager
def lanes(system: System, *faults: Fault) -> Iterator[list[Lane]]:
    with ExitStack() as stack:
        found = []
        for fault in faults:
            agent, port = f"lane-{fault.replace(' ', '-')}", free_port()
            to_agent = stack.enter_context(FaultyProxy(("127.0.0.1", port), certificates=system.certificates))
            to_backend = stack.enter_context(FaultyProxy(("127.0.0.1", system.port)))
            system.expected[agent] = {
                "port": port,
                "public_url": to_agent.url,
                "api_url": to_backend.url,
                "MARKING_CAPABILITIES": json.dumps({"lane": agent}),
            }
            found.append(Lane(fault, agent, to_agent, to_backend))
        try:
            yield found
        finally:
            for lane in found:
                lane.behave()
                del system.expected[lane.agent]
                if system.processes.is_up(lane.agent):
                    system.processes.kill(lane.agent)
            until(
                lambda: not any(system.api.worker(lane.agent) and remove(system, lane) for lane in found),
                "the lanes' workers are removed",
            )


def remove(system: System, lane: Lane) -> bool:
    with system.api.http() as http:
        http.delete(f"/workers/{lane.agent}")
    return True
