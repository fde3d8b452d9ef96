"""Run the worker of a test in a process of its own: `python -m worker_agent.testing.serve MODULE:CLASS OPTIONS`."""

import sys
from importlib import import_module
from operator import attrgetter

from worker_agent.base import WorkerAPIBase


def main() -> None:
    name, *options = sys.argv[1:]
    module, _, qualified_name = name.partition(":")
    worker_class: type[WorkerAPIBase] = attrgetter(qualified_name)(import_module(module))
    worker_class.main(options)


if __name__ == "__main__":
    main()
