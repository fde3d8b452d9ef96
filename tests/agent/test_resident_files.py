"""Files leave the memory of a process, but not what the process has changed of them."""

import ctypes
import mmap
import re
import subprocess
import sys
from pathlib import Path

import pytest

from worker_agent.job.forking.resident_files import release_files

PAGES = 64


def resident_kilobytes(address: int) -> int:
    text = Path("/proc/self/smaps").read_text()
    match = re.search(rf"^{address:08x}-.*\n(?:\w+: .*\n)*?Rss: +(\d+) kB$", text, re.MULTILINE)
    assert match
    return int(match[1])


def map_read_only(path: Path, change: bytes) -> tuple[mmap.mmap, int]:
    """Map a file, change its first bytes in memory, and protect it, as the dynamic linker does with constants."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    mapped[: len(change)] = change
    assert bytes(mapped)  # reads each page
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(len(mapped)), 1) == 0
    return mapped, address


def release_and_check(directory: str) -> None:
    content = bytes(range(256)) * (PAGES * mmap.PAGESIZE // 256)
    for name, change in (("kept", b""), ("changed", b"relocated")):
        (path := Path(directory, name)).write_bytes(content)
        mapped, address = map_read_only(path, change)
        before = resident_kilobytes(address)
        release_files()
        after = resident_kilobytes(address)
        assert bytes(mapped) == change + content[len(change) :]
        assert before > 0
        assert after == (before if change else 0)


@pytest.mark.skipif(sys.platform != "linux", reason="memory of Linux")
def test_pages_of_files_are_given_back_except_those_that_the_process_has_changed(tmp_path: Path) -> None:
    # A new process: this one has mapped files for other tests.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from {__name__} import release_and_check; release_and_check({str(tmp_path)!r})",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
