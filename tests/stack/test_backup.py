"""A backup of a running system, restored into an empty directory, goes on where the other was."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ktrdr_site.backup.restoring import check
from tests.prepared import place
from tests.stack.system import ROOT, Up, environment, up
from tests.waiting import until
from worker_agent.testing import StubWorker

pytestmark = pytest.mark.stack
BARS = "Date,Open,High,Low,Close,Volume\n2020-01-02,1,2,1,2,10\n2020-01-03,2,3,2,3,10\n"


def manage(data_dir: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment(KTRDR_DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def agent(system: Up, work_s: float) -> StubWorker:
    return StubWorker(
        "agent-1", system.url, (system.data_dir / "worker-token").read_text().strip(), work_s=work_s
    )


def submit(system: Up) -> str:
    with system.http() as http:
        answer = http.post("/operations", json={"operation_type": "noop", "parameters": {}})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["operation_id"])


async def reaches(stub: StubWorker, system: Up, operation_id: str, status: str) -> dict[str, Any]:
    """The operation, once it has this status; the stub's own loop goes on meanwhile."""

    def wait() -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            shown: dict[str, Any] = system.get(f"/operations/{operation_id}")
            return shown if shown["status"] == status else None

        return until(there, f"{operation_id} is {status}", 120, lambda: system.output) or {}

    return await asyncio.to_thread(wait)


async def test_what_ran_at_the_backup_is_lost_with_its_worker_and_done_by_another(tmp_path: Path) -> None:
    old, new, archive = tmp_path / "old", tmp_path / "new", tmp_path / "backup.tar"
    place(old)
    with up(old, "--no-demo", "--workers", "") as system:
        system.wait_until_ready()
        with system.http() as http:
            files = {"file": ("AAPL.csv", BARS.encode())}
            answer = http.post("/market-data", files=files, data={"symbol": "AAPL", "timeframe": "1d"})
            assert answer.status_code == 202, answer.text
        async with agent(system, work_s=0.05) as stub:
            await stub.register()
            finished = submit(system)
            await reaches(stub, system, finished, "COMPLETED")
            stub.work_s = 600
            running = submit(system)
            await reaches(stub, system, running, "RUNNING")
            printed = await asyncio.to_thread(manage, old, "backup", str(archive), "--verify")
            assert "3 operations" in printed
            assert "all rows and artifacts are the same" in printed
            assert system.get(f"/operations/{running}")["status"] == "RUNNING"
    manage(new, "restore", str(archive))
    manage(new, "backup", str(tmp_path / "again.tar"))
    before, after = check(archive), check(tmp_path / "again.tar")
    assert after.tables == before.tables
    assert after.members == before.members
    assert before.artifacts
    with up(new, "--no-demo", "--workers", "") as system:
        system.wait_until_ready()
        assert system.get(f"/operations/{finished}")["result"] == {"worker": "agent-1"}
        async with agent(system, work_s=0.05) as stub:
            stub.worker_id = "agent-2"
            await stub.register()
            ended = await reaches(stub, system, running, "COMPLETED")
    assert [attempt["outcome"] for attempt in ended["attempts"]] == ["lost", "completed"]
    assert ended["result"] == {"worker": "agent-2"}
