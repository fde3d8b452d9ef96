"""The product with two workers and its demo fits into a machine with 1 GB of memory."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr_site.processes.parent_death import die_with_parent
from tests.stack.memory_groups import memory_group, within
from tests.stack.system import ROOT, environment
from tests.waiting import until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(sys.platform != "linux", reason="control groups are a part of Linux"),
]
LIMIT_BYTES = 10**9
DEMO_TIMEOUT_S = 300


def test_a_start_with_two_workers_and_the_demo_fit_into_one_gigabyte(tmp_path: Path) -> None:
    with memory_group(LIMIT_BYTES) as group:
        done = subprocess.run(
            [
                sys.executable, "manage.py", "up", "--port", "0", "--data-dir", str(tmp_path / "var"),
                "--workers", "training=1,backtesting=1", "--exit-after-demo",
            ],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEMO_TIMEOUT_S,
            check=False,
            preexec_fn=within(group, die_with_parent(signal.SIGTERM)),
        )  # fmt: skip
        until(group.is_empty, "the database has ended", 30)
        assert done.returncode == 0, done.stdout
        assert group.kills() == 0, done.stdout
        assert group.peak_bytes() > LIMIT_BYTES / 4, "the processes ran in the group"
