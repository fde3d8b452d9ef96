"""What this machine has, and how busy it is. Without torch: the agent itself stays small."""

import os
import platform
import shutil
import subprocess
from typing import Any

import psutil
from pydantic import JsonValue

QUERY = "name,memory.total,utilization.gpu,memory.used"
NVIDIA_SMI_TIMEOUT_S = 5.0
MIB_PER_GIB = 1024


def capabilities() -> dict[str, JsonValue]:
    """`cores, memory_gb, gpu`, and with one `gpu_type, gpu_count, gpu_memory_gb` (of the smallest)."""
    found: dict[str, JsonValue] = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": False,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    cards = _nvidia()
    if cards:
        found |= {
            "gpu": True,
            "gpu_type": "CUDA",
            "gpu_count": len(cards),
            "gpu_name": str(cards[0]["name"]),
            "gpu_memory_gb": round(min(float(card["memory_mib"]) for card in cards) / MIB_PER_GIB, 1),
        }
    elif platform.system() == "Darwin" and platform.machine() == "arm64":
        found |= {"gpu": True, "gpu_type": "MPS", "gpu_count": 1, "gpu_memory_gb": found["memory_gb"]}
    return found


def load(with_gpu: bool) -> dict[str, JsonValue]:
    """`cpu_percent, memory_percent, memory_used_gb, load_average` and per card `gpu_percent, gpu_memory_percent`.

    With a GPU it waits for nvidia-smi: not for the event loop.
    """
    memory = psutil.virtual_memory()
    found: dict[str, JsonValue] = {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "memory_percent": memory.percent,
        "memory_used_gb": round((memory.total - memory.available) / 2**30, 2),
        "load_average": round(psutil.getloadavg()[0], 2),
    }
    if with_gpu and (cards := _nvidia()):
        found["gpu_percent"] = max(float(card["percent"]) for card in cards)
        found["gpu_memory_percent"] = max(
            round(100 * float(card["used_mib"]) / float(card["memory_mib"]), 1) for card in cards
        )
    return found


def _nvidia() -> list[dict[str, Any]]:
    """The cards that nvidia-smi lists; none where it is missing, hangs or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        answer = subprocess.run(  # noqa: S603  (a fixed command line)
            [tool, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [card for line in answer.stdout.splitlines() if (card := _card(line))]


def _card(line: str) -> dict[str, Any] | None:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4:
        return None
    try:
        numbers = [float(part) if part not in ("[N/A]", "") else 0.0 for part in parts[1:]]
    except ValueError:
        return None
    if numbers[0] <= 0:
        return None
    return {"name": parts[0], "memory_mib": numbers[0], "percent": numbers[1], "used_mib": numbers[2]}
