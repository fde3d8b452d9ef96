"""Joins the memory of the fork server into huge pages, which a fork shares at once."""

import ctypes
import mmap
import sys
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

MADV_COLLAPSE = 25
HUGE_PAGE = 2 * 1024 * 1024
PRESENT = 1 << 63
LEAST_PRESENT = 0.98
"""A range is joined if this part of its pages is in memory: those that are missing are then allocated."""
WRITABLE = "rw-p"


def join_pages() -> None:
    """Make one huge page of each 2 MiB of memory (Linux 6.1 and later; does nothing elsewhere).

    A fork copies an entry for each page of the process, and its end removes them: 30 ms of processor time for a keeper
    and its job, of which this saves two thirds. Where a job writes, the kernel splits the page and copies 4 KiB as before.
    """
    if sys.platform != "linux" or mmap.PAGESIZE != 4096:
        return
    advise = ctypes.CDLL(None).madvise
    for address, size in _merge_adjacent(_resident_ranges()):
        if advise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_COLLAPSE) == -1:
            return  # an older kernel, or no free huge page


def _merge_adjacent(addresses: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Return the address and size of each row of adjacent ranges: a call costs as much as the copies of several pages."""
    first = last = 0
    for address in addresses:
        if address != last:
            if last > first:
                yield first, last - first
            first = address
        last = address + HUGE_PAGE
    if last > first:
        yield first, last - first


def _resident_ranges() -> Iterator[int]:
    """Return the addresses of aligned ranges of private memory that are, nearly all of them, resident."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    pages = HUGE_PAGE // mmap.PAGESIZE
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        for line in lines:
            addresses, access, _, _, inode, *_ = line.split(maxsplit=5)
            if access != WRITABLE or inode != "0":
                continue
            first, last = (int(address, 16) for address in addresses.split("-"))
            for address in range(-(-first // HUGE_PAGE) * HUGE_PAGE, last - HUGE_PAGE + 1, HUGE_PAGE):
                pagemap.seek(address // mmap.PAGESIZE * 8)
                entries = array("Q", pagemap.read(8 * pages))
                if sum(entry >= PRESENT for entry in entries) >= LEAST_PRESENT * pages:
                    yield address
