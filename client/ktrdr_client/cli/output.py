"""The only writer of the commands. Texts of the server come from others, so control characters are shown, never sent."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from ktrdr_client.visible_text import one_line, visible

COMPLETED, FAILED, CANCELLED, DETACHED = 0, 1, 3, 130
"""Exit statuses, those of the site's own commands; DETACHED is 128 plus the number of SIGINT."""
EXIT = {"COMPLETED": COMPLETED, "FAILED": FAILED, "CANCELLED": CANCELLED}


def show(text: str) -> None:
    """Write one line to standard output."""
    print(one_line(text), flush=True)


def show_json(value: Any) -> None:
    """Write JSON to standard output; it escapes control characters itself."""
    print(json.dumps(value, indent=2), flush=True)


def warn(text: str) -> None:
    """Write to standard error, with line breaks."""
    print(visible(text), file=sys.stderr, flush=True)


def show_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table whose last column is not padded."""
    texts = [[one_line("" if value is None else str(value)) for value in row] for row in (names, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(names))]
    for row in texts:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip(), flush=True)
