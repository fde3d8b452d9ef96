"""Foreign text on a terminal and in a log: control characters are shown, never sent.

An escape sequence can repaint a terminal, rename its window or forge the line above; a bidirectional control reverses
what is read; a line break forges a log line. Everything for a terminal or a log passes through this module.
"""

import re
import sys
from collections.abc import Iterable
from typing import IO, Any, TextIO, cast

CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction of the text (Unicode TR 9), and its deprecated kin
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # separators of lines and paragraphs, byte order mark, annotations
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # lone surrogates, invisible tags
)


def visible(text: str) -> str:
    """Replace each control character except tab and line feed by its escape: `\\x1b`, `\\u202e`."""
    lines = text.replace("\n", "")
    # Of most texts this is known much sooner than the pattern has compared each character.
    return text if lines.isascii() and lines.isprintable() else CONTROLS.sub(_escape, text)


def one_line(text: str) -> str:
    """Return the text as `visible` does, with line breaks escaped too."""
    return visible(text).replace("\n", "\\n")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class VisibleStream:
    """A text stream that shows control characters. Programs that draw on a terminal use the stream inside it."""

    def __init__(self, stream: TextIO) -> None:
        self.inner = stream

    def write(self, text: str) -> int:
        self.inner.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def protect_streams() -> None:
    """Make standard output and standard error of this process visible streams. Call it first in each program."""
    if not isinstance(sys.stdout, VisibleStream):
        sys.stdout = cast("TextIO", VisibleStream(sys.stdout))
        sys.stderr = cast("TextIO", VisibleStream(sys.stderr))


def drawing_stream(stream: IO[str]) -> IO[str]:
    """Return the stream to which a program may send escape sequences of its own, around text from `visible`."""
    return stream.inner if isinstance(stream, VisibleStream) else stream
