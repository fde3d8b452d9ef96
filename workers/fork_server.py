"""`python -m workers.fork_server TYPE...`: the process from which the jobs of all workers of this machine are forked.

`manage.py up` starts one, so that the libraries are loaded once. A worker that is started by hand has its own.
"""

import argparse
import sys

from worker_agent.job.forking.server import add_options, serve
from worker_agent.job.thread_limits import limit_threads
from worker_agent.program import harden_process
from workers.__main__ import WORKER_TYPES, worker_class

NOT_USED = ("bottleneck", "coverage", "pytz", "scipy", "tqdm")
"""Optional packages that numba, pandas and torch import if they are installed. The pins of the workers do not contain them."""


def main() -> None:
    harden_process()
    for name in NOT_USED:
        sys.modules[name] = None  # type: ignore[assignment]  # as the import system defines it: is not found
    limit_threads()
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_options(parser)
    parser.add_argument("types", nargs="+", choices=sorted(set(WORKER_TYPES.values())), metavar="TYPE")
    options = parser.parse_args()
    classes = [worker_class(name) for name in options.types]
    preload = dict.fromkeys(module for each in classes for module in each.preload)
    warm_ups = dict.fromkeys(each.warm_up for each in classes if each.warm_up)
    serve(options, tuple(preload), tuple(warm_ups))


if __name__ == "__main__":
    main()
