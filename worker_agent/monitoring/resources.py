"""The hardware of this machine and its load, measured without torch: the agent stays small."""

import os
import platform

import psutil
from pydantic import JsonValue

from worker_agent.monitoring import nvidia_smi

MIB_PER_GIB = 1024


def capabilities() -> dict[str, JsonValue]:
    """Return `cores, memory_gb, gpu`, and with a GPU `gpu_type, gpu_count, gpu_memory_gb` (of the smallest)."""
    machine: dict[str, JsonValue] = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": False,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    cards = nvidia_smi.cards()
    if cards:
        machine |= {
            "gpu": True,
            "gpu_type": "CUDA",
            "gpu_count": len(cards),
            "gpu_name": cards[0].name,
            "gpu_memory_gb": round(min(card.memory_mib for card in cards) / MIB_PER_GIB, 1),
        }
    elif platform.system() == "Darwin" and platform.machine() == "arm64":
        machine |= {"gpu": True, "gpu_type": "MPS", "gpu_count": 1, "gpu_memory_gb": machine["memory_gb"]}
    return machine


def load(with_gpu: bool) -> dict[str, JsonValue]:
    """Return `cpu_percent, memory_percent, memory_used_gb, load_average` and, over all cards, the highest
    `gpu_percent, gpu_memory_percent`.

    With a GPU this waits for nvidia-smi: do not call it in the event loop.
    """
    memory = psutil.virtual_memory()
    machine: dict[str, JsonValue] = {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "memory_percent": memory.percent,
        "memory_used_gb": round((memory.total - memory.available) / 2**30, 2),
        "load_average": round(psutil.getloadavg()[0], 2),
    }
    if with_gpu and (cards := nvidia_smi.cards()):
        machine["gpu_percent"] = max(card.percent for card in cards)
        machine["gpu_memory_percent"] = max(round(100 * card.used_mib / card.memory_mib, 1) for card in cards)
    return machine
