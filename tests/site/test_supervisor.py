"""The supervisor restarts what dies, passes lines on, and leaves no process behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ktrdr_site.processes import supervisor
from ktrdr_site.processes.guard import kill_survivors
from ktrdr_site.processes.nursery import READ_ON_DEMAND
from ktrdr_site.processes.supervisor import Exit, Service, Supervisor, describe_status
from tests.calibration import TimeLimit, stretched
from tests.waiting import is_alive, until_async, until_gone

ROOT = Path(__file__).resolve().parents[2]


class Recorder:
    """An observer that keeps what it receives, with a wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.exits: list[Exit] = []
        self.pids: list[int] = []
        self.killed: list[str] = []
        self._news = asyncio.Event()

    def on_start(self, name: str, pid: int) -> None:
        self.pids.append(pid)

    def on_line(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._news.set()

    def on_exit(self, exit_: Exit) -> None:
        self.exits.append(exit_)
        self._news.set()

    def on_kill(self, name: str, pid: int, grace_s: float) -> None:
        self.killed.append(name)

    async def line(self, matches: Callable[[str], bool]) -> str:
        await self._until(lambda: any(matches(line) for _, line in self.lines))
        return next(line for _, line in self.lines if matches(line))

    async def until_exits(self, count: int) -> list[Exit]:
        await self._until(lambda: len(self.exits) >= count)
        return self.exits

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(stretched(20)):
            while not condition():
                self._news.clear()
                await self._news.wait()


def service(name: str, program: str) -> Service:
    return Service(name, lambda: [sys.executable, "-u", "-c", program], dict(os.environ), ROOT)


async def test_every_line_is_reported_under_the_name_of_its_service() -> None:
    recorder = Recorder()
    watch = Supervisor(recorder)
    long = "x" * 200_000
    watch.start(
        [service("talker", "print('one'); print('x' * 200_000); print('no newline', end=''); input()")]
    )
    await recorder.until_exits(1)
    await watch.stop_all(5)
    assert [line for name, line in recorder.lines if name == "talker"][:2] == ["one", long]
    assert any(line.startswith("no newline") for _, line in recorder.lines)


class CountingReader(asyncio.StreamReader):
    reads = 0

    def feed_data(self, data: bytes) -> None:
        self.reads += 1
        super().feed_data(data)


async def test_the_lines_of_a_busy_service_are_read_together() -> None:
    recorder = Recorder()
    watch = Supervisor(recorder)
    reader = CountingReader(limit=READ_ON_DEMAND)
    read_end, write_end = os.pipe()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
    reading = asyncio.create_task(watch._read_lines("busy", reader))
    numbers = [str(number) for number in range(100)]
    for number in numbers:
        os.write(write_end, f"{number}\n".encode())
        for _ in range(5):
            await asyncio.sleep(0)
    os.close(write_end)
    await reading
    assert [line for _, line in recorder.lines] == numbers
    assert reader.reads <= 2 + (loop.time() - started) / supervisor.PAUSE_S


async def test_a_service_that_ends_is_restarted_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.02)
    recorder = Recorder()
    watch = Supervisor(recorder)
    watch.start([service("mortal", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")])
    exits = await recorder.until_exits(4)
    assert str(exits[0]) == "ended (killed by SIGKILL); restarting in 0.02 s"
    assert [exit_.restart_in_s for exit_ in exits[:4]] == [0.02, 0.04, 0.08, 0.16]
    assert [exit_.early_exits for exit_ in exits[:4]] == [1, 2, 3, 4]
    assert watch.early_exits("mortal") >= 4
    await watch.stop_all(5)
    count = len(recorder.exits)
    await asyncio.sleep(0)
    assert len(recorder.exits) == count


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
                         start_new_session=True)
print(child.pid)
time.sleep(600)
"""


async def test_a_service_that_ignores_the_signal_is_killed_with_all_its_descendants() -> None:
    recorder = Recorder()
    watch = Supervisor(recorder)
    watch.start([service("stubborn", STUBBORN)])
    child = psutil.Process(int(await recorder.line(str.isdigit)))
    limit = TimeLimit(5)
    await watch.stop_all(0.5)
    assert not await limit.has_passed_async()
    assert recorder.killed == ["stubborn", "stubborn"]
    # stop_all returns after sending the signal; the kernel ends a grandchild some time later.
    await until_async(lambda: not is_alive(child), "the grandchild ends", 5)


PARENT = """
import asyncio, sys
from pathlib import Path
from ktrdr_site.processes.supervisor import Service, Supervisor
class Printer:
    def on_start(self, name, pid): pass
    def on_line(self, name, line): print(line, flush=True)
async def main():
    watch = Supervisor(Printer())
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    watch.start([Service("child", lambda: [sys.executable, "-c", program], {}, Path("/"))])
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent dies")
def test_a_killed_supervisor_ends_its_services() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        # A module that other tests import ignores SIGTERM, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        until_gone([child], "the service ends with its supervisor", 10)


def test_an_exit_status_is_described() -> None:
    assert describe_status(3) == "exit status 3"
    assert describe_status(-signal.SIGSEGV) == "killed by SIGSEGV"


def test_the_guard_kills_only_processes_that_outlive_a_killed_supervisor() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-u", "-c", STUBBORN], stdout=subprocess.PIPE, text=True
        ) as stubborn,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger,
    ):
        assert stubborn.stdout
        child = psutil.Process(int(stubborn.stdout.readline()))
        kill_survivors([psutil.Process(stubborn.pid)], 0.3)
        assert stubborn.wait() == -signal.SIGKILL
        until_gone([child], "the grandchild ends", 5)
        assert stranger.poll() is None
        stranger.communicate(b"\n")
