import mmap
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_agent.job.forking.huge_pages import HUGE_PAGE, _merge_adjacent, join_pages
from worker_agent.job.main import describe
from worker_agent.job.redaction import Redaction

RANGES = 4


def in_fork(work: Callable[[], object]) -> str:
    """Do the work in a forked process; return the text of its error."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException as error:
            os.write(write_end, str(describe(error, Redaction(()))).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(process, 0)
    return text


def huge_kilobytes() -> int:
    match = re.search(
        r"^AnonHugePages:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE
    )
    assert match
    return int(match[1])


def resident_kilobytes() -> int:
    match = re.search(r"^Rss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages of Linux")
def test_resident_memory_is_joined_unchanged_and_memory_that_nobody_used_is_not_allocated() -> None:
    def work() -> None:
        full = mmap.mmap(-1, (RANGES + 1) * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        content = bytes(range(256)) * (len(full) // 256)
        full[:] = content
        sparse = mmap.mmap(-1, 64 * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for start in range(0, len(sparse), HUGE_PAGE):
            sparse[start] = 1
        huge, resident = huge_kilobytes(), resident_kilobytes()
        join_pages()
        assert full[:] == content
        assert resident_kilobytes() - resident < 8 * HUGE_PAGE // 1024, "the sparse memory would be 128 MiB"
        version = tuple(int(part) for part in platform.release().split(".")[:2])
        assert version < (6, 1) or huge_kilobytes() > huge, "from 6.1 on"

    assert in_fork(work) == ""


@given(st.sets(st.integers(1, 30)))
def test_adjacent_ranges_become_one_and_others_stay_apart(numbers: set[int]) -> None:
    rows = list(_merge_adjacent(number * HUGE_PAGE for number in sorted(numbers)))
    covered = [start + offset for start, size in rows for offset in range(0, size, HUGE_PAGE)]
    assert covered == [number * HUGE_PAGE for number in sorted(numbers)]
    ends = {start + size for start, size in rows}
    assert not ends & {start for start, _ in rows}
