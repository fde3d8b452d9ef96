"""The fork server from which job processes are started, with slow modules already imported."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerContext, SpawnContext

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)

Context = ForkServerContext | SpawnContext


def create_context(preload: tuple[str, ...]) -> Context:
    """Return a fork server context that imports `preload`; outside Linux, a spawn context.

    On macOS forking is unsafe after such imports. torch, BLAS and numba get one thread each unless the environment
    sets another number: two workers with the default numbers on two cores were measured 6.5 times slower.
    """
    for name in THREAD_LIMITS:
        os.environ.setdefault(name, "1")
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The module that defines a worker imports `base`; without the preload each job would import it again.
    context.set_forkserver_preload(["worker_agent.job.fork_server_setup", "worker_agent.base", *preload])
    return context


def ensure_running(context: Context) -> None:
    """Start the fork server if it is not running; do not wait until its modules are imported.

    Call it from a thread that lives as long as the agent: Linux ends the server with the thread that started it.
    """
    if isinstance(context, ForkServerContext):
        from multiprocessing import forkserver

        forkserver.ensure_running()
