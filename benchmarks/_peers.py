"""Other engines, in an environment of their own, asked round by round so that ours and theirs are interleaved.

`KTRDR_BENCH_PEERS` names the interpreter of that environment; benchmarks/README.md says how to make it.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


class Peer:
    """A program that answers each line on its input with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._input: IO[str] = process.stdin
        self._output: IO[str] = process.stdout

    def ask(self, question: str) -> dict[str, float]:
        """Raises ValueError where the peer ended without an answer; its own words are on the error output."""
        self._input.write(question + "\n")
        self._input.flush()
        answer: dict[str, float] = json.loads(self._output.readline())
        return answer


@contextmanager
def peer(program: str, *arguments: str) -> Iterator[Peer | None]:
    """None, and a plain line that says so, where no environment of peers is named."""
    interpreter = os.environ.get("KTRDR_BENCH_PEERS")
    if not interpreter:
        print("peers are left out: KTRDR_BENCH_PEERS names no interpreter", flush=True)
        yield None
        return
    process = subprocess.Popen(
        [interpreter, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Peer(process)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(30)
        if process.stdout:
            process.stdout.close()
