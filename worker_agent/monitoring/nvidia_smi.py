"""Query NVIDIA's command line tool. Without the tool, or if it hangs or fails, nothing is known about GPUs."""

import shutil
import subprocess
from dataclasses import dataclass

TIMEOUT_S = 5.0
MIB = 1024**2
UNKNOWN = ("[N/A]", "")


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    memory_mib: float
    percent: float
    """Utilization."""
    used_mib: float


def cards() -> list[Card]:
    """Return the GPUs; an empty list if they are unknown."""
    rows = _query("--query-gpu=name,memory.total,utilization.gpu,memory.used") or []
    return [card for row in rows if (card := _card(row))]


def memory_by_process() -> dict[int, int] | None:
    """Return process id -> bytes on all cards, or None if they are unknown."""
    rows = _query("--query-compute-apps=pid,used_memory")
    if rows is None:
        return None
    memory: dict[int, int] = {}
    for row in rows:
        pid, mib = row[0], row[-1]
        if pid.isdigit() and mib.isdigit():  # in a container they may be [N/A]
            memory[int(pid)] = memory.get(int(pid), 0) + int(mib) * MIB
    return memory


def _query(query: str) -> list[list[str]] | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        completed = subprocess.run(  # noqa: S603  (a fixed command line)
            [tool, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return [[cell.strip() for cell in line.split(",")] for line in completed.stdout.splitlines()]


def _card(row: list[str]) -> Card | None:
    if len(row) != 4:
        return None
    try:
        memory, percent, used = (0.0 if cell in UNKNOWN else float(cell) for cell in row[1:])
    except ValueError:
        return None
    return Card(row[0], memory, percent, used) if memory > 0 else None
