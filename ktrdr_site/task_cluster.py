"""The process that runs django-q2's cluster, forked from the scheduler where that is safe.

Imports nothing of Django: elsewhere a new interpreter imports this module before the apps are loaded.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkContext, SpawnContext

from ktrdr_site.processes.parent_death import die_with_parent


def start_context() -> ForkContext | SpawnContext:
    """Return how to start it. The caller has no thread, and no connection to the database."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("fork")


def run_cluster(parent: int) -> None:
    """Run the cluster in a session of its own until SIGTERM, which also the end of the parent sends."""
    import django
    from django.core.management import call_command

    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(signal.SIGTERM, parent)()
    django.setup()
    call_command("qcluster", skip_checks=True)
