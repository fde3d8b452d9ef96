"""Write the client without coroutines, `ktrdr_client.sync`, from the one with them: `python -m tools.blocking_client`."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "client" / "ktrdr_client"
SOURCE, TARGET = PACKAGE / "aio", PACKAGE / "sync"
HEADER = "# Generated from ../aio/{name} by tools/blocking_client.py: change that file, not this one.\n"
REPLACEMENTS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bimport asyncio\n(?=(?:import .*\n)*import time\n)", ""),
    (r"\basyncio\b", "time"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\baclose\b", "close"),
    (r"\bktrdr_client\.aio\b", "ktrdr_client.sync"),
)  # fmt: skip


def blocking(text: str) -> str:
    """Return the code without coroutines."""
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def files() -> Mapping[str, str]:
    """Return the content of each file of the blocking client."""
    return {
        path.name: HEADER.format(name=path.name) + blocking(path.read_text())
        for path in sorted(SOURCE.glob("*.py"))
    }


def main() -> int:
    for name, text in files().items():
        (TARGET / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
