"""The agent's metrics in Prometheus' text format, version 0.0.4."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from worker_agent.agent import Agent
from worker_agent.monitoring.usage import Usage
from worker_agent.protocol import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MACHINE = {
    "cpu_percent": "Load of all cores",
    "memory_percent": "Memory in use",
    "memory_used_gb": "Memory in use, in GiB",
    "load_average": "Processes that want to run, over one minute",
    "gpu_percent": "Load of the busiest GPU",
    "gpu_memory_percent": "Memory in use of the fullest GPU",
}
"""Key of `resources.load` -> description."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    kind: Literal["gauge", "counter"]
    description: str
    samples: tuple[tuple[Mapping[str, str], float], ...]
    """(labels, value); empty if the value is unknown."""


def render(families: Iterable[Family]) -> str:
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escape(family.description)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        pairs = ",".join(f'{name}="{_escape(text, quotes=True)}"' for name, text in labels.items())
        yield f"{family.name}{{{pairs}}} {value!r}" if pairs else f"{family.name} {value!r}"


def _escape(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def agent_metrics(agent: Agent, usage: Usage | None) -> Iterator[Family]:
    """`usage` is that of the current job, None without a job."""
    yield _gauge("ktrdr_agent_info", "Which worker this is", 1.0, _identity(agent))
    yield _gauge("ktrdr_agent_busy", "1 while an operation runs", float(agent.current is not None))
    yield _gauge("ktrdr_agent_draining", "1 when it accepts no new operation", float(agent.draining))
    yield _gauge("ktrdr_agent_registered", "1 once registered", float(agent.registrar.registered))
    yield _gauge(
        "ktrdr_agent_backend_silence_seconds",
        "Time since the backend's last authorised call or accepted registration",
        agent.registrar.silence_s,
    )
    yield _gauge(
        "ktrdr_agent_outbox_reports",
        "Reports that the backend has not acknowledged yet",
        len(agent.outbox.entries),
    )
    yield _gauge(
        "ktrdr_agent_loop_lag_seconds",
        "Worst delay of the event loop within the last half minute",
        round(agent.lag.worst_s, 6),
    )
    yield Family(
        "ktrdr_agent_operations_total",
        "counter",
        "Operations that ended here since the agent's start",
        tuple(({"outcome": outcome.value}, float(agent.outcomes[outcome])) for outcome in Outcome),
    )
    yield from _job_metrics(usage)
    for name, description in MACHINE.items():
        yield _gauge(f"ktrdr_agent_machine_{name}", description, agent.load.machine.get(name))


def _identity(agent: Agent) -> dict[str, str]:
    return {
        "worker_id": agent.options.worker_id,
        "worker_type": agent.worker.worker_type,
        "instance_id": agent.instance_id,
        "version": agent.worker.version,
    }


def _job_metrics(usage: Usage | None) -> Iterator[Family]:
    yield _gauge(
        "ktrdr_agent_job_cpu_seconds",
        "Processor time of the current job, all its processes",
        usage and usage.cpu_s,
    )
    yield _gauge(
        "ktrdr_agent_job_resident_bytes",
        "Memory of the current job's processes; shared pages count for each",
        usage and usage.resident_bytes,
    )
    yield _gauge("ktrdr_agent_job_processes", "Processes of the current job", usage and usage.processes)
    yield _gauge(
        "ktrdr_agent_job_gpu_memory_bytes",
        "GPU memory of the current job's processes, if nvidia-smi reports it",
        usage and usage.gpu_bytes,
    )


def _gauge(name: str, description: str, value: object, labels: Mapping[str, str] | None = None) -> Family:
    samples = ((labels or {}, float(value)),) if isinstance(value, int | float) else ()
    return Family(name, "gauge", description, samples)
