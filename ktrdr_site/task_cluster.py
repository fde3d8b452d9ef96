"""The process that runs django-q2's cluster, forked from the scheduler where that is safe.

Imports nothing of Django: elsewhere a new interpreter imports this module before the apps are loaded.
"""

import multiprocessing
import os
import signal
import sys
import threading
import uuid
from multiprocessing.context import ForkContext, SpawnContext

import setproctitle

from ktrdr_site.processes.parent_death import die_with_parent

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def start_context() -> ForkContext | SpawnContext:
    """Return how to start it. The caller has no thread, and no connection to the database."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("fork")


def run_cluster(parent: int) -> None:
    """Run the cluster in a session of its own until SIGTERM, which also the end of the parent sends.

    This process is the cluster's sentinel, which django-q2's own command would start as a child and then wait for.
    """
    import django

    os.setsid()
    _reset_signals()
    die_with_parent(signal.SIGTERM, parent)()
    django.setup()
    from django_q.cluster import Sentinel

    from access.stop_signals import stop_on_signals

    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_reset_signals)
    setproctitle.setproctitle("qcluster sentinel")
    sentinel = Sentinel(None, threading.Event(), uuid.uuid4(), start=False)  # sets handlers, too
    sentinel.stop_event = stop_on_signals()
    sentinel.start()


def _hold_signals() -> None:
    """Let signals wait: one that a new child receives before it has reset its handlers would be lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _reset_signals() -> None:
    """End at a SIGTERM: a forked process has inherited the handlers of its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _release_signals()
