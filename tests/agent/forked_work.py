"""What the jobs and the warming steps of the fork server's tests do. Imports little, since each job does it again."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WARM_FILE = "KTRDR_WARM_FILE"
SLOW_MODULE = "tests.agent.slow_module"
LAST_MODULE = "mailbox"
"""Nothing else imports it."""


def quick(worker: Any, parameters: Any, job: Any) -> dict[str, Any]:
    os.write(1, b"printed by the job\n")  # as a library in C does; what Python prints is in the log
    return {"pid": os.getpid(), "parent": os.getppid(), "collect_after": gc.get_threshold()}


def has_last_module(worker: Any, parameters: Any, job: Any) -> dict[str, Any]:
    return {"loaded": LAST_MODULE in sys.modules}


def loaded_modules(worker: Any, parameters: Any, job: Any) -> dict[str, Any]:
    return {"names": sorted(name for name, module in sys.modules.items() if module is not None)}


def patient(worker: Any, parameters: Any, job: Any) -> dict[str, Any]:
    """Start a process in a session of its own, note its pid, and stay."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    Path("grandchild").write_text(str(child.pid))
    time.sleep(600)
    return {}


def slow_steps() -> Iterator[None]:
    """Take short steps until the file `warm` exists."""
    while not Path(os.environ[WARM_FILE]).exists():
        time.sleep(0.01)
        yield


def failing_steps() -> Iterator[None]:
    yield
    raise ArithmeticError("this step fails")


def long_step() -> Iterator[None]:
    print("in a long step", flush=True)
    time.sleep(600)
    yield
