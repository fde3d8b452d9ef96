"""What a person sees: each line under the name of who wrote it, in colour on a terminal."""

from collections.abc import Callable
from typing import TextIO

COLOURS = (36, 33, 32, 35, 34)
NAME_WIDTH = 13


class Console:
    def __init__(self, stream: TextIO, on_closed: Callable[[], None]) -> None:
        self._stream = stream
        self._on_closed = on_closed
        self._open = True
        self._colours: dict[str, int] | None = {} if stream.isatty() else None

    def line(self, name: str, text: str) -> None:
        self._write(f"{self._coloured(name)} {text}")

    def plain(self, text: str) -> None:
        self._write(text)

    def _coloured(self, name: str) -> str:
        label = f"{name:<{NAME_WIDTH}} |"
        if self._colours is None:
            return label
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\x1b[{colour}m{label}\x1b[0m"

    def _write(self, text: str) -> None:
        if not self._open:
            return
        try:
            print(text, file=self._stream, flush=True)
        except (BrokenPipeError, OSError):  # the terminal or the pipe is gone: nobody reads on
            self._open = False
            self._on_closed()
