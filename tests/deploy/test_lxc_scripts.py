"""The Proxmox scripts against a `pct` that only notes what it is asked for."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack.system import ROOT

SCRIPTS = ROOT / "deploy" / "lxc"
TOKEN = "token-that-nobody-may-see"
FAKE_PCT = """#!/bin/sh
echo "$@" >> "$NOTES/calls"
case $1 in
    status) test -e "$NOTES/exists-$2" ;;
    push) cp "$3" "$NOTES/pushed-$2-$(basename "$4")" ;;
esac
"""


@dataclass
class Proxmox:
    directory: Path

    @property
    def calls(self) -> list[str]:
        notes = self.directory / "calls"
        return notes.read_text().splitlines() if notes.exists() else []

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / script, *arguments],
            env={"PATH": f"{self.directory}:{os.environ['PATH']}", "NOTES": str(self.directory), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def file(self, name: str, content: str = "") -> str:
        (self.directory / name).write_text(content)
        return str(self.directory / name)


@pytest.fixture
def proxmox(tmp_path: Path) -> Proxmox:
    pct = tmp_path / "pct"
    pct.write_text(FAKE_PCT)
    pct.chmod(0o755)
    return Proxmox(tmp_path)


WHEELS = ("ktrdr_worker_agent-1-py3-none-any.whl", "ktrdr_workers-1-py3-none-any.whl")
WORKER = ("300", "301", "192.168.1.201/24", "192.168.1.1", "backtesting", "http://192.168.1.100:8000")


def test_a_worker_is_cloned_addressed_and_started_and_its_token_is_in_no_command_line(
    proxmox: Proxmox,
) -> None:
    done = proxmox.run("provision-worker.sh", *WORKER, proxmox.file("worker-token", TOKEN + "\n"))
    assert done.returncode == 0, done.stderr
    assert "clone 300 301 --hostname ktrdr-backtesting-301" in proxmox.calls
    assert any("ip=192.168.1.201/24,gw=192.168.1.1" in call for call in proxmox.calls)
    assert proxmox.calls[-1] == "exec 301 -- systemctl enable --now ktrdr-worker@1"
    assert TOKEN not in " ".join(proxmox.calls) + done.stdout + done.stderr
    assert (proxmox.directory / "pushed-301-worker.env").read_text().splitlines() == [
        "KTRDR_API_URL=http://192.168.1.100:8000",
        "WORKER_TYPE=backtesting",
        "WORKER_PORT=5003",
        "WORKER_ID=backtesting-301",
        f"KTRDR_WORKER_TOKEN={TOKEN}",
    ]


def test_several_workers_get_consecutive_numbers_and_addresses(proxmox: Proxmox) -> None:
    token = proxmox.file("worker-token", TOKEN)
    done = proxmox.run("provision-workers.sh", "3", *WORKER, token)
    assert done.returncode == 0, done.stderr
    clones = [call.split()[2] for call in proxmox.calls if call.startswith("clone")]
    assert clones == ["301", "302", "303"]
    assert [number for number in (201, 202, 203) if f"ip=192.168.1.{number}/24" in " ".join(proxmox.calls)] == [
        201, 202, 203,
    ]  # fmt: skip


def test_addresses_past_the_end_of_the_network_are_refused_before_anything_is_made(proxmox: Proxmox) -> None:
    arguments = ("300", "301", "192.168.1.253/24", *WORKER[3:], proxmox.file("worker-token", TOKEN))
    done = proxmox.run("provision-workers.sh", "3", *arguments)
    assert done.returncode == 2
    assert "do not fit" in done.stderr
    assert proxmox.calls == []


def test_a_container_that_exists_is_left_alone(proxmox: Proxmox) -> None:
    proxmox.file("exists-301")
    done = proxmox.run("provision-worker.sh", *WORKER, proxmox.file("worker-token", TOKEN))
    assert done.returncode == 1
    assert done.stderr.strip() == "container 301 exists already"
    assert proxmox.calls == ["status 301"]


@pytest.mark.parametrize(("extra", "names"), [("training", "workers torch"), ("", "importer")])
def test_a_template_is_made_from_the_wheels_and_the_unit_with_or_without_torch(
    proxmox: Proxmox, tmp_path: Path, extra: str, names: str
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in WHEELS:
        (wheels / name).touch()
    done = proxmox.run("make-template.sh", "300", str(wheels), str(ROOT / "requirements"), EXTRA=extra)
    assert done.returncode == 0, done.stderr
    assert any(call.endswith(f"/bin/python {names}") for call in proxmox.calls)
    assert all((proxmox.directory / f"pushed-300-{name}").exists() for name in WHEELS)
    assert any(call.endswith("pip install --quiet --no-deps /tmp/ktrdr/*.whl") for call in proxmox.calls)
    unit = (proxmox.directory / "pushed-300-ktrdr-worker@.service").read_text()
    assert unit == (ROOT / "deploy" / "systemd" / "ktrdr-worker@.service").read_text()
    assert proxmox.calls[-1] == "template 300"


@pytest.mark.parametrize("wheels", [WHEELS[:1], WHEELS[1:], (*WHEELS, "ktrdr_workers-2-py3-none-any.whl")])
def test_a_template_needs_exactly_one_wheel_of_agent_and_workers(
    proxmox: Proxmox, tmp_path: Path, wheels: tuple[str, ...]
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in wheels:
        (folder / name).touch()
    done = proxmox.run("make-template.sh", "300", str(folder), str(ROOT / "requirements"))
    assert done.returncode == 1
    assert "must contain one wheel of ktrdr_worker" in done.stderr
    assert proxmox.calls == []
