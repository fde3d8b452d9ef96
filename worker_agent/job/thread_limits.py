"""Environment variables that limit the threads of the libraries that jobs use."""

import os

LIMITS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # Arrow's allocator otherwise starts a thread as soon as pandas is imported.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def limit_threads() -> None:
    """Give torch, BLAS and numba one thread each unless the environment sets another number.

    Two workers with the default numbers on two cores were measured 6.5 times slower. Call it before they are imported.
    """
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
