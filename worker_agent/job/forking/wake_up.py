"""Turns signals into bytes that a loop can wait for together with its sockets."""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Self

CHUNK = 4096


class WakeUp:
    """While it is open, the given signals do nothing but make it readable. Use it in the main thread."""

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _ignore)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the signals their default effect again; also in a forked child, which shares the pipe."""
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._read_end)
        os.close(self._write_end)

    def fileno(self) -> int:
        return self._read_end

    def read(self) -> None:
        """Make it unreadable until the next signal."""
        with suppress(BlockingIOError):
            while os.read(self._read_end, CHUNK):
                pass


def _ignore(number: int, frame: FrameType | None) -> None:
    """Unlike SIG_IGN, a handler lets the kernel keep ended children until they are waited for."""
