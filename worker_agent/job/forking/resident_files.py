"""Gives back the pages of files that a process read or executed while it loaded its libraries."""

import ctypes
import re
import sys
from pathlib import Path

MADV_DONTNEED = 4
MAPPING = re.compile(
    r"^(?P<first>[0-9a-f]+)-(?P<last>[0-9a-f]+) r-(?P<executable>[x-])p \S+ \S+ (?!0 )\d+ .*\n"
    r"(?:\w+: .*\n)*?Anonymous: +(?P<changed>\d+) kB$",
    re.MULTILINE,
)
"""Of a file, in `smaps`. What the dynamic linker changes in read-only data at the start is anonymous, and not in the file."""


def release_files() -> None:
    """Unmap the code and the constants of all libraries (Linux): what is used again comes back from the page cache.

    Loading and warming up maps 100 to 190 MB of them, and the kernel maps the neighbours of each page that is used.
    A forked process gets none of these pages, so no job is slower. Without a change of our own, nothing is lost.
    """
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    for mapping in MAPPING.finditer(Path("/proc/self/smaps").read_text()):
        if int(mapping["changed"]) == 0:
            first, last = int(mapping["first"], 16), int(mapping["last"], 16)
            advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), MADV_DONTNEED)
