"""`manage.py up`: one clear sentence when it cannot start, and no process left when it ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.stack.system import ROOT, Up, environment, up
from tests.waiting import until

pytestmark = pytest.mark.stack
SECRETS = ("admin-password", "api-token", "worker-token", "secret-key")


def refusal(data_dir: Path, *arguments: str, **variables: str) -> str:
    """Return the message of an `up` that does not start and leaves nothing running."""
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--data-dir", str(data_dir), "--no-demo", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one installation, started several times."""
    return tmp_path_factory.mktemp("up") / "var"


@pytest.fixture
def installed(data_dir: Path) -> Path:
    """The installation after its first start: that of the first test, or one of its own if that test does not run."""
    if not (data_dir / SECRETS[0]).exists():
        with up(data_dir, "--no-demo") as system:
            system.wait_until_ready()
    return data_dir


@pytest.fixture(scope="module")
def later(data_dir: Path) -> Iterator[Up]:
    """A later start of that installation, without workers; the one before was killed."""
    with up(data_dir, "--no-demo", "--workers", "") as system:
        system.wait_until_ready()
        yield system


def secrets(data_dir: Path) -> dict[str, str]:
    return {name: (data_dir / name).read_text() for name in SECRETS}


def open_to_others(directory: Path) -> list[str]:
    """Return what users other than the owner may read, write or enter."""
    return [
        f"{path} {mode:04o}"
        for path in directory.rglob("*")
        if not path.is_symlink()
        and path.exists()
        and stat.S_ISSOCK(path.stat().st_mode) is False
        and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    ]


def end_in_order(system: Up, number: signal.Signals) -> None:
    until(lambda: system.get("/workers")["results"], "a worker has registered", 30, lambda: system.output)
    system.end(number)
    assert system.process.returncode == 0, system.output
    assert "was killed" not in "\n".join(system.lines), "everything ended in order"


def test_the_first_start_writes_the_secrets_and_sigterm_ends_everything_in_order(data_dir: Path) -> None:
    with up(data_dir, "--no-demo") as system:
        system.wait_until_ready()
        assert all(text.count("\n") == 1 and len(text) > 12 for text in secrets(data_dir).values())
        assert {stat.S_IMODE((data_dir / name).stat().st_mode) for name in SECRETS} == {0o600}
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert open_to_others(data_dir) == [], "although the shell's file mode mask was 000"
        end_in_order(system, signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_later_start_is_quick_keeps_the_secrets_and_ends_in_order(
    installed: Path, number: signal.Signals
) -> None:
    before = secrets(installed)
    with up(installed, "--no-demo") as system:
        system.wait_until_ready(timeout_s=10)
        assert secrets(installed) == before
        end_in_order(system, number)


def test_sigkill_leaves_no_process_and_the_next_start_works(data_dir: Path) -> None:
    with up(data_dir, "--no-demo") as system:
        system.wait_until_ready()
        until(lambda: system.get("/workers")["results"], "a worker has registered", 30, lambda: system.output)
        assert len(system.processes()) > 6
        system.end(signal.SIGKILL)


def test_a_data_directory_in_use_is_one_sentence_and_the_first_keeps_running(later: Up) -> None:
    message = refusal(later.data_dir, "--port", "0")
    assert "data directory in use" in message
    assert message.count("\n") == 0
    assert answers(later)


def test_a_process_that_dies_is_restarted(later: Up) -> None:
    for name in ("gunicorn", "run_dispatcher", "run_schedules", "run_studies"):
        victim = later.child(name)
        victim.kill()
        until(
            lambda name=name, old=victim.pid: later.child(name).pid != old,
            f"{name} runs again",
            20,
            lambda: later.output,
        )
    until(lambda: answers(later), "the web server answers again", 20, lambda: later.output)


def answers(system: Up) -> bool:
    try:
        with system.http() as http:
            return http.get("/health").json() == {"status": "ok"}
    except httpx.TransportError:  # its socket is open before the new server accepts connections
        return False


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = refusal(tmp_path, "--port", str(port))
    assert (
        message
        == f"CommandError: KTRDR cannot start: port {port} on 127.0.0.1 is in use; choose another with --port"
    )


def test_an_address_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    message = refusal(tmp_path, "--host", "192.0.2.1", "--port", "0")
    assert "port 0 on 192.0.2.1 cannot be used" in message
    assert message.count("\n") == 0


def test_an_unreachable_database_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"postgresql://ktrdr:geheim@127.0.0.1:{port}/ktrdr"
        message = refusal(tmp_path, "--port", "0", KTRDR_DATABASE_URL=url)
    assert "the database cannot be reached" in message
    assert str(port) in message
    assert "geheim" not in message
    assert message.count("\n") == 0


def test_an_invalid_number_of_workers_is_refused(tmp_path: Path) -> None:
    assert "--workers training=two is invalid" in refusal(tmp_path, "--workers", "training=two")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_unwritable_data_directory_is_one_sentence(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    message = refusal(closed)
    assert message.startswith(f"KTRDR cannot start: KTRDR_DATA_DIR={closed} cannot be used")
    assert message.count("\n") == 0
