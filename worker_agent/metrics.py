"""What `GET /metrics` of an agent prints: Prometheus' text format, version 0.0.4, written by hand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from worker_agent.protocol import Outcome
from worker_agent.usage import Usage

if TYPE_CHECKING:
    from worker_agent.agent import Agent

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MACHINE = {
    "cpu_percent": "Load of all cores",
    "memory_percent": "Memory in use",
    "memory_used_gb": "Memory in use, in GiB",
    "load_average": "Processes that want to run, over one minute",
    "gpu_percent": "Load of the busiest GPU",
    "gpu_memory_percent": "Memory in use of the fullest GPU",
}
"""Of `resources.load`: name -> meaning."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    samples: tuple[tuple[Mapping[str, str], float], ...]
    """(labels, value); none where the value is not known."""


def text(families: Iterable[Family]) -> str:
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.meaning)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        inner = ",".join(f'{name}="{_escaped(of, quotes=True)}"' for name, of in labels.items())
        yield f"{family.name}{{{inner}}} {value!r}" if inner else f"{family.name} {value!r}"


def _escaped(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def of_agent(agent: "Agent", usage: Usage | None) -> Iterator[Family]:
    """`usage` is that of the present job, None where there is none."""
    yield _gauge("ktrdr_agent_info", "Which worker this is", 1.0, _names(agent))
    yield _gauge("ktrdr_agent_busy", "1 while an operation runs", float(agent.current is not None))
    yield _gauge("ktrdr_agent_draining", "1 when it takes nothing new", float(agent.draining))
    yield _gauge("ktrdr_agent_registered", "1 once registered", float(agent.registrar.registered))
    yield _gauge(
        "ktrdr_agent_backend_silence_seconds",
        "Since the backend last showed that it knows this worker",
        agent.registrar.silence_s,
    )
    yield _gauge(
        "ktrdr_agent_outbox_reports", "Reports that the backend has not taken yet", len(agent.outbox.entries)
    )
    yield _gauge(
        "ktrdr_agent_loop_lag_seconds",
        "How late the event loop was at worst within the last half minute",
        round(agent.lag.worst_s, 6),
    )
    yield Family(
        "ktrdr_agent_operations_total",
        "counter",
        "Operations that ended here since the agent's start",
        tuple(({"outcome": outcome.value}, float(agent.ended[outcome])) for outcome in Outcome),
    )
    yield from _of_job(usage)
    for name, meaning in MACHINE.items():
        yield _gauge(f"ktrdr_agent_machine_{name}", meaning, agent.load.get(name))


def _names(agent: "Agent") -> dict[str, str]:
    return {
        "worker_id": agent.options.worker_id,
        "worker_type": agent.worker.worker_type,
        "instance_id": agent.instance_id,
        "version": agent.worker.version,
    }


def _of_job(usage: Usage | None) -> Iterator[Family]:
    yield _gauge(
        "ktrdr_agent_job_cpu_seconds",
        "Processor time of the present job, all its processes",
        usage and usage.cpu_s,
    )
    yield _gauge(
        "ktrdr_agent_job_resident_bytes",
        "Memory of the present job's processes; pages that they share count for each",
        usage and usage.resident_bytes,
    )
    yield _gauge("ktrdr_agent_job_processes", "Processes of the present job", usage and usage.processes)
    yield _gauge(
        "ktrdr_agent_job_gpu_memory_bytes",
        "GPU memory of the present job's processes, where nvidia-smi tells",
        usage and usage.gpu_bytes,
    )


def _gauge(name: str, meaning: str, value: object, labels: Mapping[str, str] | None = None) -> Family:
    samples = ((labels or {}, float(value)),) if isinstance(value, int | float) else ()
    return Family(name, "gauge", meaning, samples)
