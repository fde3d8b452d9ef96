"""The supervisor restarts what dies, passes lines on, and leaves nobody behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ktrdr_site import supervisor
from ktrdr_site.guard import kill_survivors
from ktrdr_site.supervisor import Service, Supervisor, in_words

ROOT = Path(__file__).resolve().parents[2]


class Heard:
    """What the supervisor said, with a wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._news.set()

    async def until(self, wanted: Callable[[str], bool], count: int = 1) -> list[str]:
        async with asyncio.timeout(20):
            while len(found := [line for _, line in self.lines if wanted(line)]) < count:
                self._news.clear()
                await self._news.wait()
        return found


def service(name: str, program: str) -> Service:
    return Service(name, lambda: [sys.executable, "-u", "-c", program], dict(os.environ), ROOT)


async def test_every_line_is_passed_on_under_the_name_of_its_service() -> None:
    heard = Heard()
    watch = Supervisor(heard)
    long = "x" * 200_000
    watch.start(
        [service("talker", "print('one'); print('x' * 200_000); print('no newline', end=''); input()")]
    )
    await heard.until(lambda line: line.startswith("ended"))
    await watch.stop_all(5)
    assert [line for name, line in heard.lines if name == "talker"][:2] == ["one", long]
    assert any(line.startswith("no newline") for _, line in heard.lines)


async def test_what_dies_starts_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.02)
    heard = Heard()
    watch = Supervisor(heard)
    watch.start([service("mortal", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")])
    ends = await heard.until(lambda line: line.startswith("ended"), count=4)
    assert ends[0] == "ended (killed by SIGKILL); starts again in 0.02 s"
    assert [line.split()[-2] for line in ends[:4]] == ["0.02", "0.04", "0.08", "0.16"]
    assert watch.ended_early("mortal") >= 4
    await watch.stop_all(5)
    told = len(heard.lines)
    await asyncio.sleep(0)
    assert len(heard.lines) == told


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
                         start_new_session=True)
print(child.pid)
time.sleep(600)
"""


async def test_who_ignores_the_signal_is_killed_with_all_its_descendants() -> None:
    heard = Heard()
    watch = Supervisor(heard)
    watch.start([service("stubborn", STUBBORN)])
    child = psutil.Process(int((await heard.until(str.isdigit))[0]))
    started = time.monotonic()
    await watch.stop_all(0.5)
    assert time.monotonic() - started < 5
    # The signal is sent when stop_all returns; the kernel ends a grandchild of ours in its own time.
    async with asyncio.timeout(5):
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


PARENT = """
import asyncio, sys
from pathlib import Path
from ktrdr_site.supervisor import Service, Supervisor
async def main():
    watch = Supervisor(lambda name, line: print(line, flush=True))
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    watch.start([Service("child", lambda: [sys.executable, "-c", program], {}, Path("/"))])
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_supervisor_takes_its_services_along() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()


def test_an_exit_status_is_put_in_words() -> None:
    assert in_words(3) == "exit status 3"
    assert in_words(-signal.SIGSEGV) == "killed by SIGSEGV"


def test_the_guard_kills_who_outlives_a_killed_supervisor_and_only_those() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-u", "-c", STUBBORN], stdout=subprocess.PIPE, text=True
        ) as stubborn,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger,
    ):
        assert stubborn.stdout
        child = psutil.Process(int(stubborn.stdout.readline()))
        kill_survivors([psutil.Process(stubborn.pid)], 0.3)
        assert stubborn.wait(5) == -signal.SIGKILL
        psutil.wait_procs([child], timeout=5)
        assert not child.is_running()
        assert stranger.poll() is None
        stranger.communicate(b"\n")
