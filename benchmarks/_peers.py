"""Other engines, in an environment of their own, asked round by round so that ours and theirs are interleaved.

`make bench-peers` makes that environment; `KTRDR_BENCH_PEERS` may name the interpreter of another one.
"""

import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ANSWER_S = 120.0
"""The longest round of a peer takes a few seconds."""
INTERPRETER = Path(__file__).resolve().parent.parent / ".venv" / "peers" / "bin" / "python"


class Peer:
    """A program that answers each line on its input with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._input: IO[str] = process.stdin
        self._output: IO[str] = process.stdout
        self.pid = process.pid

    def ask(self, question: str) -> dict[str, Any]:
        """Return the answer. Raises TimeoutError; ValueError if the peer ended, whose error output then has the reason."""
        self._input.write(question + "\n")
        self._input.flush()
        if not select.select([self._output], [], [], ANSWER_S)[0]:
            raise TimeoutError(f"The peer has not answered {question!r} within {ANSWER_S:.0f} s.")
        answer: dict[str, Any] = json.loads(self._output.readline())
        return answer


@contextmanager
def peer(program: str, *arguments: str) -> Iterator[Peer | None]:
    """Start the program and yield it. Without an environment of peers, print the reason and yield None."""
    interpreter = os.environ.get("KTRDR_BENCH_PEERS", str(INTERPRETER) if INTERPRETER.exists() else "")
    if not interpreter:
        print("peers are left out: run make bench-peers", flush=True)
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
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
