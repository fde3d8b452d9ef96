"""The agent's `/metrics`: valid, correct, with stable names."""

import asyncio
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.agent.conftest import RunningAgent
from tests.calibration import stretched
from worker_agent.agent import Agent
from worker_agent.monitoring import nvidia_smi
from worker_agent.monitoring.load import Load
from worker_agent.monitoring.loop_lag import INTERVAL_S, LoopLag
from worker_agent.monitoring.usage import Usage, measure_tree
from worker_agent.protocol import Registration
from worker_agent.server.prometheus import CONTENT_TYPE, Family, render
from worker_agent.testing import FakeBackend


async def scrape(worker: Registration) -> dict[str, Metric]:
    headers = {"Authorization": f"Bearer backend-{worker.instance_id}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{worker.endpoint_url}/metrics") as response,
    ):
        assert (response.status, response.headers["Content-Type"]) == (200, CONTENT_TYPE)
        return {family.name: family for family in text_string_to_metric_families(await response.text())}


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    (sample,) = [s.value for s in families[name].samples if s.labels == labels]
    return sample


async def test_an_idle_agent_is_registered_and_has_no_job(agent: RunningAgent, backend: FakeBackend):
    families = await scrape(await agent.start())
    (info,) = families["ktrdr_agent_info"].samples
    assert (info.labels["worker_id"], info.labels["worker_type"]) == ("tester", "working")
    assert value(families, "ktrdr_agent_registered") == 1
    assert value(families, "ktrdr_agent_busy") == 0
    assert value(families, "ktrdr_agent_outbox_reports") == 0
    assert 0 <= value(families, "ktrdr_agent_backend_silence_seconds") < stretched(10)
    assert value(families, "ktrdr_agent_loop_lag_seconds") >= 0
    assert families["ktrdr_agent_job_cpu_seconds"].samples == []
    assert families["ktrdr_agent_operations"].type == "counter"
    assert {s.labels["outcome"]: s.value for s in families["ktrdr_agent_operations"].samples} == {
        "completed": 0, "failed": 0, "cancelled": 0, "interrupted": 0,
    }  # fmt: skip


async def test_a_job_is_measured_with_its_children_and_its_end_is_counted(
    agent: RunningAgent, backend: FakeBackend
):
    worker = await agent.start()
    await backend.start(worker, "op", {"until_cancelled": True, "grandchild": True, "busy_s": 0.1})
    await agent.wait_for_mark("grandchild")
    families = await scrape(worker)
    assert value(families, "ktrdr_agent_busy") == 1
    assert value(families, "ktrdr_agent_job_processes") == 2
    assert value(families, "ktrdr_agent_job_cpu_seconds") > 0.05
    assert value(families, "ktrdr_agent_job_resident_bytes") > 5_000_000
    await backend.ask(worker, "DELETE", "/api/v1/operations/op/cancel")
    await backend.report_of("op")
    await backend.until(lambda: backend.count("report") == 1)
    families = await scrape(worker)
    assert families["ktrdr_agent_job_processes"].samples == []
    (cancelled,) = [
        s for s in families["ktrdr_agent_operations"].samples if s.labels["outcome"] == "cancelled"
    ]
    assert (cancelled.name, cancelled.value) == ("ktrdr_agent_operations_total", 1)


async def test_a_scrape_does_not_count_as_a_call_of_the_backend(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    await backend.ask(worker, "GET", "/health")
    before = value(await scrape(worker), "ktrdr_agent_backend_silence_seconds")
    after = value(await scrape(worker), "ktrdr_agent_backend_silence_seconds")
    assert 0 < before < after


async def test_an_undelivered_report_is_counted(agent: RunningAgent, backend: FakeBackend):
    worker = await agent.start()
    backend.enrolment_token, backend.tokens = "another", set()
    await backend.start(worker, "op")
    await backend.until(lambda: backend.count("report") > 0)
    families = await scrape(worker)
    assert value(families, "ktrdr_agent_outbox_reports") == 1


def test_special_characters_survive_the_format():
    special = 'back\\slash "quote" new\nline é {}'
    text = render([Family("a", "gauge", special, (({"label": special}, 1.5), ({"label": "b"}, 1e-9)))])
    (family,) = text_string_to_metric_families(text)
    assert [(s.labels["label"], s.value) for s in family.samples] == [(special, 1.5), ("b", 1e-9)]
    assert family.documentation == special


def test_processor_time_includes_children_that_have_ended():
    work = "import time\nwhile time.process_time() < 0.4: pass\n"
    script = (
        f"import subprocess as s, sys; s.run([sys.executable, '-c', {work!r}]); print('done', flush=True)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{script}; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent:
        assert parent.stdout.readline() == b"done\n"
        usage = measure_tree(parent.pid)
        parent.stdin.close()
    assert usage is not None
    assert usage.cpu_s > 0.3
    assert usage.processes == 1
    assert measure_tree(parent.pid) is None
    assert measure_tree(None) is None


def test_gpu_memory_counts_the_jobs_own_processes(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f"#!/bin/sh\necho '{os.getpid()}, 100'\necho '{os.getpid()}, 28'\necho '1, 500'\necho 'x, [N/A]'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    memory = nvidia_smi.memory_by_process()
    assert memory == {os.getpid(): 128 * 1024**2, 1: 500 * 1024**2}
    usage = measure_tree(os.getpid(), memory)
    assert isinstance(usage, Usage)
    assert usage.gpu_bytes == 128 * 1024**2
    assert measure_tree(os.getpid(), None).gpu_bytes is None, "unknown, not zero"


@pytest.mark.parametrize("script", ["exit 9", "sleep 5"])
def test_without_a_working_nvidia_smi_gpu_memory_is_unknown(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, script: str
):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nexec {script}\n" if script.startswith("sleep") else f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(nvidia_smi, "TIMEOUT_S", 0.2)
    assert nvidia_smi.memory_by_process() is None


async def test_a_blocked_event_loop_shows_as_lag():
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    time.sleep(INTERVAL_S + 0.3)  # blocks the event loop
    while lag.worst_s == 0:
        await asyncio.sleep(0.01)
    watching.cancel()
    assert lag.worst_s >= 0.3


def test_a_job_that_ends_while_it_is_measured_is_no_error():
    """The measurement runs in another thread than the event loop, which forgets the attempt at its end."""

    class EndingAgent:
        attempts = iter([SimpleNamespace(job_pid=os.getpid()), None])

        @property
        def running(self) -> Any:
            return next(self.attempts)

    agent: Any = EndingAgent()
    assert Load(False, lambda: Agent.job_pid(agent)).measure_job() is not None
