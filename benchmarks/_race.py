"""Programs that do the same work in interleaved rounds (A B A B), and the lines that compare them."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks._peers import Peer

ROUNDS = 5


@dataclass(slots=True)
class Seconds:
    """The seconds of each round of one program."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


Run = Callable[[], tuple[float, float]]
"""Does the work once and returns its CPU and wall seconds."""


def in_process(work: Callable[[], object]) -> Run:
    """Measure `work` in this process."""

    def run() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return time.process_time() - cpu, time.perf_counter() - wall

    return run


def of_peer(peer: Peer, question: str) -> Run:
    """Measure the answer to a question, which contains the `cpu` and `wall` seconds that it took."""

    def run() -> tuple[float, float]:
        answer = peer.ask(question)
        return answer["cpu"], answer["wall"]

    return run


def race(runs: Mapping[str, Run], rounds: int = ROUNDS) -> dict[str, Seconds]:
    """Let each program do the work once per round, after one round for compilers and caches."""
    seconds = {name: Seconds() for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            cpu, wall = run()
            if number:
                seconds[name].cpu.append(cpu)
                seconds[name].wall.append(wall)
    return seconds


def compare(
    benchmark: str, seconds: Mapping[str, Seconds], goals: Mapping[str, float] | None = None, count: int = 0
) -> None:
    """Print our CPU seconds, the first of `seconds`, beside each of the others: medians, with the lowest and highest round.

    `count`: print this many per CPU second instead. `goals`: the least ratio (their seconds over ours) by peer.
    """
    (_, ours), *peers = seconds.items()
    unit = "1/CPU s" if count else "CPU s"
    values = [count / cpu if count else cpu for cpu in ours.cpu]
    line = {
        "benchmark": benchmark,
        "value": _rounded(median(values)),
        "unit": unit,
        "spread": [_rounded(min(values)), _rounded(max(values))],
        "wall_s": _rounded(median(ours.wall)),
    }
    if not peers:
        print(json.dumps(line), flush=True)
    for name, theirs in peers:
        compared: dict[str, object] = {
            "peer": name,
            "ratio": round(median(theirs.cpu) / median(ours.cpu), 2),
            "peer_cpu_s": _rounded(median(theirs.cpu)),
            "peer_spread": [_rounded(min(theirs.cpu)), _rounded(max(theirs.cpu))],
            "peer_wall_s": _rounded(median(theirs.wall)),
        }
        if goals and name in goals:
            compared["goal"] = f"ratio at least {goals[name]:g}"
        print(json.dumps(line | compared), flush=True)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
