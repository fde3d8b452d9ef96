"""The lines of the rows of a text, for messages that name one."""

import numpy as np
import numpy.typing as npt

from workers.market_data.reader.encoding import Text
from workers.market_data.reader.limits import MAX_LINE
from workers.market_data.reader.text_bounds import cells_of
from workers.strategy.quoting import shorten


class TextLines:
    """The lines of the rows, found only when they are needed."""

    def __init__(self, text: Text, start: int, end: int, first: int) -> None:
        self._text, self._start, self._end, self._first = text, start, end, first
        self._filled: npt.NDArray[np.int64] | None = None

    def count(self) -> int:
        """Return the number of lines, blank ones included."""
        view = np.frombuffer(self._text, np.uint8)[self._start : self._end]
        step = 16 * 1024**2
        return 1 + sum(int((view[at : at + step] == 10).sum()) for at in range(0, len(view), step))

    def find(self, row: int) -> int:
        """Return the line of a row: blank lines are lines, but not rows."""
        if self._filled is None:
            view = np.frombuffer(self._text, np.uint8)[self._start : self._end]
            ends = np.append(np.flatnonzero(view == 10), len(view))
            starts = np.append(0, ends[:-1] + 1)
            blank = (ends - starts == 0) | (
                (ends - starts == 1) & (view[np.minimum(starts, len(view) - 1)] == 13)
            )
            self._filled = np.flatnonzero(~blank).astype(np.int64)
        return int(self._filled[row]) + self._first if row < len(self._filled) else self._first + row

    def problem(self, width: int, delimiter: str) -> str | None:
        """Describe the first row that does not have `width` cells."""
        position, number = self._start, self._first
        while position < self._end:
            end = self._text.find(b"\n", position, self._end)
            end = self._end if end < 0 else end
            if end - position > MAX_LINE:
                return f"line {number} has more than {MAX_LINE:,} bytes"
            line = bytes(self._text[position:end]).decode("utf-8", "replace").rstrip("\r")
            count = len(cells_of(line, delimiter)) if line else width
            if count != width:
                ending = "is incomplete: it " if count < width else ""
                return f"line {number} {ending}has {count} cells, and the rows above have {width} ({shorten(line)})"
            position, number = end + 1, number + 1
        return None
