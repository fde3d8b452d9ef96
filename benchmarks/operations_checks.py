"""The cost of trusting nobody: processor time of a no-op operation with and without the checks.

The checks are the challenge of each call to a worker, the secrets of attempts, and the limits of bodies, depth, sessions
and second factors. One system (`manage.py up`) runs with ten stub workers; `switchable/sitecustomize.py` leaves the
checks out in every second round, in the same processes, so both kinds of rounds meet the same caches and the same load of
the machine. The order alternates (with, without, without, with). Processor time is that of all processes of the system
with the database; the agent's side of the challenge is not in it. Goal: a median ratio of at most 1.03 to the rounds
without.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._figures import print_figure, print_median
from benchmarks._noops import client, stubs, through
from benchmarks._system import ROOT, processor_s, running

WORKERS = 10
WARM_UP = 100
OPERATIONS = 150
PAIRS = 48
SWITCHABLE = ROOT / "benchmarks" / "switchable"


@contextmanager
def switch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-switch-") as directory:
        path = Path(directory) / "switch"
        path.write_bytes(b"\1")
        yield path


def turn(path: Path, is_on: bool) -> None:
    """Write in place: the processes of the system have mapped the file."""
    with path.open("r+b") as file:
        file.write(b"\1" if is_on else b"\0")


async def main() -> None:
    costs: dict[bool, list[float]] = {True: [], False: []}
    with switch() as path:
        environment = {"KTRDR_BENCH_SWITCH": str(path), "PYTHONPATH": str(SWITCHABLE)}
        with running(**environment) as system:
            async with client(system) as http, stubs(system, WORKERS) as workers:
                await through(workers, http, WARM_UP)
                for pair in range(PAIRS):
                    for is_on in (True, False) if pair % 2 == 0 else (False, True):
                        turn(path, is_on)
                        used = processor_s(system)
                        await through(workers, http, OPERATIONS)
                        costs[is_on].append(1000 * (processor_s(system) - used) / OPERATIONS)
    ratios = [with_checks / without for with_checks, without in zip(costs[True], costs[False], strict=True)]
    print_median("processor time of a no-op operation with the checks", costs[True], "ms")
    print_median("processor time of a no-op operation without the checks", costs[False], "ms")
    print_median("with the checks, ratio to without", ratios, "", goal="at most 1.03")
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    print_figure("standard error of the mean ratio", error, "", mean=round(statistics.mean(ratios), 4))


if __name__ == "__main__":
    asyncio.run(main())
