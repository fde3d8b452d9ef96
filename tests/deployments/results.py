"""The steps of a trial with their times, and the figures for deploy/README.md."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Results:
    deployment: str
    rows: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print the step, and add its duration."""
        print(f"{self.deployment}: {name} ...", flush=True)
        start = time.monotonic()
        yield
        self.add(name, f"{time.monotonic() - start:.0f} s")

    def conclude(self) -> None:
        """Print that everything was seen; the machines are then removed, which takes a while."""
        self.add("result", "passed")

    def add(self, what: str, value: object) -> None:
        self.rows.append((what, str(value)))
        print(f"{self.deployment}: {what} = {value}", flush=True)

    def table(self) -> str:
        return "\n".join(f"| {self.deployment} | {what} | {value} |" for what, value in self.rows)
