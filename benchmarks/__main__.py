"""`make bench`: runs every `benchmarks/*.py` in a process of its own, then prints one table and one JSON line per figure.

A benchmark is a program that prints JSON lines `{"benchmark", "value", "unit"}`, with `peer` and `ratio` where
something was there to compare with; every other line is passed on.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
CLIENT = HERE.parent / "client"
TIME_LIMIT_S = 900
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", help="only benchmarks whose file name contains one of these")
    wanted = parser.parse_args().names
    names = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    chosen = [name for name in names if not wanted or any(word in name for word in wanted)]
    figures: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in chosen:
        print(f"== {name}", file=sys.stderr, flush=True)
        found, status = run(name)
        figures += found
        if status != 0 or not found:
            failed.append(f"{name} ({'no figure' if status == 0 else f'exit status {status}'})")
    show(figures)
    for figure in figures:
        print(json.dumps(figure))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> tuple[list[dict[str, Any]], int]:
    """The figures of one benchmark, and its exit status."""
    figures = []
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"],
            cwd=HERE.parent,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(CLIENT)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"{name} took longer than {TIME_LIMIT_S} s", file=sys.stderr)
        return [], 1
    for line in done.stdout.splitlines():
        figure = parse(line)
        if figure is None:
            print(line, file=sys.stderr)
        else:
            figures.append(figure)
    return figures, done.returncode


def parse(line: str) -> dict[str, Any] | None:
    try:
        figure = json.loads(line)
    except ValueError:
        return None
    return figure if isinstance(figure, dict) and {"benchmark", "value", "unit"} <= figure.keys() else None


def show(figures: list[dict[str, Any]]) -> None:
    table = Table("benchmark", "value", "unit", "peer", "ratio")
    for figure in figures:
        ratio = figure.get("ratio")
        table.add_row(
            str(figure["benchmark"]),
            f"{figure['value']:,.4g}" if isinstance(figure["value"], int | float) else str(figure["value"]),
            str(figure["unit"]),
            str(figure.get("peer") or ""),
            f"{ratio:.3g}" if isinstance(ratio, int | float) else "",
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())
