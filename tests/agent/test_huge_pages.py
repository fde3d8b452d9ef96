import mmap
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_agent.job.forking.huge_pages import HUGE_PAGE, _merge_adjacent, join_pages

RANGES = 4


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


def join_and_check() -> None:
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


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages of Linux")
def test_resident_memory_is_joined_unchanged_and_memory_that_nobody_used_is_not_allocated() -> None:
    # A new process, as the server is: this one has run other tests, and its memory changes meanwhile.
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import join_and_check; join_and_check()"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@given(st.sets(st.integers(1, 30)))
def test_adjacent_ranges_become_one_and_others_stay_apart(numbers: set[int]) -> None:
    rows = list(_merge_adjacent(number * HUGE_PAGE for number in sorted(numbers)))
    covered = [start + offset for start, size in rows for offset in range(0, size, HUGE_PAGE)]
    assert covered == [number * HUGE_PAGE for number in sorted(numbers)]
    ends = {start + size for start, size in rows}
    assert not ends & {start for start, _ in rows}
