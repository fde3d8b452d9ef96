"""The standard error of a job's process: it is passed on to the agent's, and its end is kept for the report."""

import os
import threading
from contextlib import suppress

STANDARD_ERROR = 2
CHUNK = 65_536
KEPT_BYTES = 8_000
END_TIMEOUT_S = 2.0
"""For output that is still in the pipe when the job has ended."""


class ErrorOutput:
    """Python code writes to the operation's log; here is what native code writes, and Python outside the work."""

    def __init__(self) -> None:
        self._read_end, self.descriptor = os.pipe()
        self._end = b""
        self._thread = threading.Thread(target=self._pass_on, name="job-errors", daemon=True)

    def start(self) -> None:
        """Start to read. Only the job holds the writing end from here on."""
        os.close(self.descriptor)
        self._thread.start()

    def abandon(self) -> None:
        """Close both ends, instead of `start`."""
        os.close(self.descriptor)
        os.close(self._read_end)

    def last_lines(self) -> str:
        """Return the end of the output, after the end of the job."""
        self._thread.join(END_TIMEOUT_S)
        return self._end.decode(errors="replace").strip()

    def _pass_on(self) -> None:
        try:
            while chunk := os.read(self._read_end, CHUNK):
                self._end = (self._end + chunk)[-KEPT_BYTES:]
                with suppress(OSError):  # the agent's own output is closed; the job must not notice
                    _write_all(chunk)
        finally:
            os.close(self._read_end)


def _write_all(content: bytes) -> None:
    while content:
        content = content[os.write(STANDARD_ERROR, content) :]
