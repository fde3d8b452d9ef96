"""Time, processor time and memory of a start of the whole product with three workers, and of the demo's two jobs.

One installation is started twice: with the demo, then again as every day. The second start is measured, then some
trainings and backtests of the demo, as medians with the least and the most. Processor time is that of every process of
the system, also of those that have ended. The bare loop is the training loop of the same job in a warm, forked
process (`_bare_loop`): no data, audit, report or upload. Trainings and loops take turns.
Targets: first page 1.2 s, three workers 2.5 s, 6 s of processor time, 700 MiB; a training job 1.3 times its bare loop, a
backtest job 0.2 s of processor time and completed 0.6 s after its request.
"""

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks._figures import print_figure, print_median
from ktrdr_site.demo.scenario import (
    STRATEGY,
    TESTED_FROM,
    TESTED_ON,
    TESTED_UNTIL,
    TIMEFRAME,
    TRAINED_ON,
    TRAINED_UNTIL,
)
from worker_agent.job import linux
from worker_agent.job.thread_limits import LIMITS

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.05
LIMIT_S = 120.0
WORKERS = 3
BACKTESTS = 7
TRAININGS = 5
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as directory:
        data = Path(directory) / "var"
        started = time.perf_counter()
        with up(data, "--exit-after-demo") as (process, _):
            process.wait(LIMIT_S)
        print_figure("first start with demo, to its end", time.perf_counter() - started, "s")
        with up(data, "--no-demo") as (process, port):
            measure_start(data, process.pid, port)
            measure_jobs(data, process.pid, port)


@contextmanager
def up(data: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # Without PYTHONDONTWRITEBYTECODE, because a user's shell lets the first start compile the code for the later ones.
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("KTRDR_", "DJANGO_", "PYTHONDONTWRITEBYTECODE"))
    }
    parent = os.getpid()
    command = [sys.executable, "manage.py", "up", "--port", str(port), "--data-dir", str(data), *arguments]
    with (data.parent / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=kept, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=lambda: linux.die_with_parent(parent),
        )  # fmt: skip
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)


def measure_start(data: Path, pid: int, port: int) -> None:
    started = psutil.Process(pid).create_time()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, follow_redirects=True, timeout=10) as http:
        until(lambda: answers(http, "/dashboard/"), "the first page")
        print_figure("later start, to the first page", time.time() - started, "s", goal="at most 1.2")
        http.headers["Authorization"] = f"Bearer {(data / 'api-token').read_text().strip()}"
        until(lambda: available(http, started) == WORKERS, "the workers")
        print_figure(
            "later start, to three available workers", time.time() - started, "s", goal="at most 2.5"
        )
    until(lambda: is_settled(data, pid), "an idle system")
    used = {name: sum(times) for name, times in by_part(data, pid, processor_s).items()}
    for name, seconds in sorted(used.items()):
        print_figure(f"later start, processor time of {name}", seconds, "s")
    print_figure("later start, processor time until idle", sum(used.values()), "s", goal="at most 6")
    memory = {name: sum(sizes) for name, sizes in by_part(data, pid, proportional_mib).items()}
    for name, size in sorted(memory.items()):
        print_figure(f"idle with three workers, memory of {name}", size, "MiB (PSS)")
    print_figure("idle with three workers, memory", sum(memory.values()), "MiB (PSS)", goal="at most 700")


def answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).status_code == 200
    except httpx.TransportError:
        return False


def available(http: httpx.Client, since: float) -> int:
    """Count the workers that have registered in this start and are available."""
    response = http.get("/workers")
    rows = response.json()["results"] if response.status_code == 200 else []
    registered = [row["registered_at"] for row in rows if row["status"] == "AVAILABLE"]
    return sum(datetime.fromisoformat(text).timestamp() >= since for text in registered)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {LIMIT_S:g} s")
        time.sleep(POLL_S)


def is_settled(data: Path, pid: int) -> bool:
    """Wait a second and report whether the system used less than a tenth of it."""
    before = sum(sum(times) for times in by_part(data, pid, processor_s).values())
    time.sleep(1.0)
    return sum(sum(times) for times in by_part(data, pid, processor_s).values()) - before < 0.1


def by_part(data: Path, pid: int, measure: Callable[[psutil.Process], float]) -> dict[str, list[float]]:
    """Measure every process of the system and of its database, by the first part of the product that it belongs to."""
    postmaster = int((data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    watcher = psutil.Process(postmaster).parent()
    groups: dict[str, list[float]] = {"up": [measure(psutil.Process(pid))]}
    roots = [(title_of(child), child) for child in psutil.Process(pid).children()]
    roots.append(("database", watcher if watcher and watcher.pid > 1 else psutil.Process(postmaster)))
    for name, root in roots:
        with suppress(psutil.NoSuchProcess):
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    part = name if name == "database" else title_of(process)
                    groups.setdefault(part, []).append(measure(process))
    return groups


def title_of(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    words = {
        "(nursery)": "nursery", "fork_server": "fork server", "forking.server": "fork server",
        "qcluster": "task cluster", "guard": "guard", "run_schedules": "schedules", "run_studies": "studies",
        "run_dispatcher": "dispatcher", "gunicorn": "web", "-m workers": "agents",
    }  # fmt: skip
    return next((name for word, name in words.items() if word in command), "other")


def processor_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)


def proportional_mib(process: psutil.Process) -> float:
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


def measure_jobs(data: Path, pid: int, port: int) -> None:
    token = (data / "api-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    training = {
        "strategy_yaml": (ROOT / STRATEGY).read_text(), "symbols": TRAINED_ON, "timeframes": [TIMEFRAME],
        "end_date": TRAINED_UNTIL,
    }  # fmt: skip
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=10) as http,
        bare_loop(imported_bars(http, data.parent)) as loop_s,
    ):
        trainings, loops = [], []
        for _ in range(TRAININGS):
            trainings.append(job(http, data, pid, "/training/start", training))
            loops.append(loop_s())
        backtest = {
            "model": trainings[0][0], "symbol": TESTED_ON, "timeframe": TIMEFRAME,
            "start_date": TESTED_FROM, "end_date": TESTED_UNTIL,
        }  # fmt: skip
        backtests = [job(http, data, pid, "/backtests/start", backtest) for _ in range(BACKTESTS)]
    ratio = statistics.median(used for _, used, _ in trainings) / statistics.median(loops)
    print_median("demo, training job, processor time", [used for _, used, _ in trainings], "s")
    print_median("demo, bare training loop, processor time", loops, "s")
    print_figure("demo, training job beside its bare loop", ratio, "times", goal="at most 1.3")
    print_median(
        "demo, backtest job, processor time", [used for _, used, _ in backtests], "s", goal="at most 0.2"
    )
    print_median("demo, training, POST to COMPLETED", [took for *_, took in trainings], "s")
    print_median(
        "demo, backtest, POST to COMPLETED", [took for *_, took in backtests], "s", goal="at most 0.6"
    )


def job(
    http: httpx.Client, data: Path, pid: int, path: str, body: dict[str, Any]
) -> tuple[str, float, float]:
    """Run one operation; return its id, the processor time of its job and the seconds until it was COMPLETED."""
    before = sum(by_part(data, pid, processor_s).get("fork server", [0.0]))
    asked = time.perf_counter()
    response = http.post(path, json=body)
    response.raise_for_status()
    operation_id = response.json()["operation_id"]
    status = ""

    def has_ended() -> bool:
        nonlocal status
        status = http.get(f"/operations/{operation_id}").json()["status"]
        return status in FINAL

    until(has_ended, path)
    took = time.perf_counter() - asked
    if status != "COMPLETED":
        raise SystemExit(f"{path} ended {status}")
    time.sleep(1.0)  # a worker whose job has just ended is not available yet
    return operation_id, sum(by_part(data, pid, processor_s).get("fork server", [0.0])) - before, took


@contextmanager
def bare_loop(inputs: dict[str, Path]) -> Iterator[Callable[[], float]]:
    """Yield a function that runs the training loop once and returns its processor time in seconds."""
    arguments = [f"{name}={path}" for name, path in inputs.items()]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks._bare_loop", *arguments],
        cwd=ROOT, env=os.environ | LIMITS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        questions, replies = process.stdin, process.stdout
        replies.readline()

        def run_once() -> float:
            print(file=questions, flush=True)
            return float(replies.readline())

        yield run_once


def imported_bars(http: httpx.Client, directory: Path) -> dict[str, Path]:
    """Download the bars of the demo's training; return their paths by the name that the job knows."""
    inputs = {}
    chosen = {"operation_type": "data_import", "fields": "parameters", "limit": 50}
    imports = http.get("/operations", params=chosen).json()["results"]
    for operation in imports:
        symbol = operation["parameters"]["symbol"]
        if symbol in TRAINED_ON:
            path = directory / f"{symbol}.parquet"
            content = http.get(f"/operations/{operation['operation_id']}/artifacts/bars.parquet")
            content.raise_for_status()
            path.write_bytes(content.content)
            inputs[f"bars/{symbol}/{TIMEFRAME}.parquet"] = path
    return inputs


if __name__ == "__main__":
    main()
