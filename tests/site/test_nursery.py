"""Servers that are forked from the nursery are what their command lines describe, and end as started ones do."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import until, until_exit, until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere servers are new programs")
kinds = pytest.mark.parametrize("kind", ["forked", "program"])
ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = """
import asyncio, json, mimetypes, os, sys
from pathlib import Path
from ktrdr_site.processes import supervisor
from ktrdr_site.processes.nursery import Nursery
from ktrdr_site.processes.supervisor import Service, Supervisor

supervisor.FIRST_PAUSE_S = 0.1

class Printer:
    def on_start(self, name, pid): print(json.dumps({"started": pid}), flush=True)
    def on_line(self, name, line): print(json.dumps({"line": line}), flush=True)
    def on_exit(self, exit_): print(json.dumps({"exit": str(exit_)}), flush=True)
    def on_kill(self, name, pid, grace_s): print(json.dumps({"killed": pid}), flush=True)

async def main(nursery):
    watch = Supervisor(Printer())
    environment = {"KTRDR_DATA_DIR": sys.argv[2], "COLOUR": "".join(("ultra", "marine")), "PATH": os.environ["PATH"]}
    command = [sys.executable, sys.argv[1], "an argument"]
    watch.start([Service("server", lambda: command, environment, Path(sys.argv[2]), nursery=nursery)])
    await asyncio.to_thread(sys.stdin.readline)
    await watch.stop_all(10)

if sys.argv[3] == "forked":
    nursery = Nursery.start(("decimal",), mimetypes.init)
else:
    nursery = Nursery.start_program(("decimal",), "mimetypes:init", {"PATH": os.environ["PATH"]}, Path.cwd())
asyncio.run(main(nursery))
nursery.close()
print(json.dumps({"done": True}), flush=True)
"""
SERVER = """
import json, os, sys, time
print(json.dumps({
    "pid": os.getpid(), "parent": os.getppid(), "arguments": sys.argv[1:], "colour": os.environ["COLOUR"],
    "variables": len(os.environ), "directory": os.getcwd(), "session": os.getsid(0), "name": __name__,
    "imported": "decimal" in sys.modules and sys.modules["mimetypes"].inited, "files": [
        os.readlink(path) for path in map("/proc/self/fd/{}".format, os.listdir("/proc/self/fd"))
        if os.path.exists(path) and path[-2:] not in ("/0", "/1", "/2")
    ],
}), flush=True)
if os.path.exists("end"):
    sys.exit(3)
time.sleep(600)
"""


class Running:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def until(self, key: str) -> object:
        assert self.process.stdout
        for line in self.process.stdout:
            if key in (message := json.loads(line)):
                return message[key]
        raise AssertionError(f"the supervisor has ended before {key}")

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(str(self.until("line")))
        return report


def memory_of(pid: int) -> bytes:
    """Return the writable memory of a process."""
    content = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in maps:
            where, access, *_ = line.split()
            if access.startswith("rw") and "[v" not in line:
                first, last = (int(part, 16) for part in where.split("-"))
                memory.seek(first)
                content += memory.read(last - first)
    return content


@contextmanager
def supervisor(directory: Path, kind: str) -> Iterator[Running]:
    script = directory / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(script), str(directory), kind],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A module that other tests import ignores SIGTERM, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@kinds
def test_a_forked_server_has_its_own_session_environment_directory_and_title(
    tmp_path: Path, kind: str
) -> None:
    with supervisor(tmp_path, kind) as running:
        pid = running.until("started")
        report = running.report()
        assert set(report.pop("files")) <= {"/dev/null"}, "nothing of the nursery beside its own three"
        assert report == {
            "pid": pid, "parent": report["parent"], "arguments": ["an argument"], "colour": "ultramarine", "variables": 3,
            "directory": str(tmp_path), "session": pid, "name": "__main__", "imported": True,
        }  # fmt: skip
        server = psutil.Process(int(str(pid)))
        assert f"{tmp_path}/server.py an argument (data in {tmp_path})" in " ".join(server.cmdline())
        nursery = server.parent()
        assert nursery is not None
        assert nursery.num_threads() == 1
        assert b"ultramarine" not in memory_of(nursery.pid), (
            "the nursery never sees the environment of a server"
        )
        running.process.communicate("\n")
        until_gone([server, nursery], "both end in order", 5)
        assert running.process.returncode == 0


@kinds
def test_a_forked_server_that_ends_is_forked_again_and_its_status_is_reported(
    tmp_path: Path, kind: str
) -> None:
    (tmp_path / "end").touch()
    with supervisor(tmp_path, kind) as running:
        first = running.report()
        assert str(running.until("exit")).startswith("ended (exit status 3)")
        (tmp_path / "end").unlink()
        second = running.report()
        assert second["parent"] == first["parent"]
        psutil.Process(int(str(second["pid"]))).kill()
        assert str(running.until("exit")).startswith("ended (killed by SIGKILL)")
        assert running.report()["imported"] is True


@kinds
def test_without_its_nursery_a_server_is_started_as_a_new_program(tmp_path: Path, kind: str) -> None:
    with supervisor(tmp_path, kind) as running:
        first = running.report()
        psutil.Process(int(str(first["parent"]))).kill()
        assert "killed by SIGTERM" in str(running.until("exit"))
        again = running.report()
        assert again["parent"] == running.process.pid
        assert again["imported"] is False
        assert again["name"] == "__main__"


@kinds
def test_a_killed_supervisor_ends_the_nursery_and_its_servers(tmp_path: Path, kind: str) -> None:
    with supervisor(tmp_path, kind) as running:
        report = running.report()
        family = [psutil.Process(int(str(report[name]))) for name in ("pid", "parent")]
        running.process.kill()
        until_exit(running.process, 10)
        until_gone(family, "the server ends with its supervisor", 10)


@kinds
def test_an_idle_nursery_ends_with_its_parent(kind: str) -> None:
    start = {
        "forked": "start((), lambda: None)",
        "program": "start_program((), 'gc:collect', dict(os.environ), Path.cwd())",
    }[kind]
    code = (
        "import os, time; from pathlib import Path; from ktrdr_site.processes.nursery import Nursery\n"
        f"nursery = Nursery.{start}\n"  # kept: it ends with its connection, too
        "print(nursery.process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout
            nursery = psutil.Process(int(parent.stdout.readline()))
            until(lambda: "nursery" in " ".join(nursery.cmdline()), "the nursery runs")
        finally:
            parent.kill()
        until_gone([nursery], "the nursery ends", 10)


STOPPED_EARLY = """
import asyncio, os, signal, sys
from pathlib import Path
from ktrdr_site.processes.nursery import Nursery

nursery = Nursery.start((), lambda: None)

async def main():
    os.kill(nursery.process.pid, signal.SIGSTOP)
    starting = asyncio.create_task(nursery.fork([sys.executable, sys.argv[1]], {}, Path("/"), ()))
    while not nursery._started:
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    (ended,) = nursery._ended.values()
    os.kill(nursery.process.pid, signal.SIGCONT)
    print(await ended)

asyncio.run(main())
nursery.close()
"""


def test_a_server_that_was_stopped_before_it_had_started_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text("import time; time.sleep(600)")
    command = [sys.executable, "-c", STOPPED_EARLY, str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (f"{-signal.SIGKILL}\n", "")


OWNED_DESCRIPTOR = """
import os
from ktrdr_site.processes.descriptors import detach_all_but

owner, second = open(os.__file__), open(os.__file__)
detach_all_but({0, 1, 2, second.fileno()})
new = os.open("/proc/self/status", os.O_RDONLY)
print(owner.read() == "", second.read() != "")
owner.close()
print(os.read(new, 4))
"""


def test_what_a_library_closes_later_is_never_a_file_that_the_server_opened() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OWNED_DESCRIPTOR], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True True\nb'Name'\n"
