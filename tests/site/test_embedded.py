"""The embedded PostgreSQL starts with its first user and stops with its last, even a killed one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ktrdr_site.embedded import cluster, lease
from ktrdr_site.embedded.account import Account, NoAccountError, needed_capability, reachable
from tests.calibration import stretched
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
GONE_WITHIN_S = 15

USER = """
import sys, time
from pathlib import Path
import psycopg
from ktrdr_site.embedded.lease import ensure_running
host = ensure_running(Path(sys.argv[1]))
with psycopg.connect(host=str(host), user="ktrdr", dbname="ktrdr", autocommit=True) as connection:
    print(connection.execute("select pg_postmaster_start_time()").fetchone()[0], flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the database until it is stopped or killed."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def server_started(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, "the user ended without a line"
        return line

    def leave(self) -> None:
        self.process.communicate("")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "postgres"
    yield place
    assert lease.release(place, stretched(GONE_WITHIN_S)), "the server still runs"


def server_pid(directory: Path) -> int:
    return int((directory / cluster.CLUSTER / "postmaster.pid").read_text().splitlines()[0])


def is_gone(directory: Path) -> bool:
    return lease.release(directory, stretched(GONE_WITHIN_S)) and not processes_of(directory)


def processes_of(directory: Path) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(directory) in part for part in process.info["cmdline"] or []):
            processes.append(process)
    return processes


def test_the_server_stops_with_its_last_user_and_not_before(directory: Path) -> None:
    first, second = User(directory), User(directory)
    started = {first.server_started(), second.server_started()}
    assert len(started) == 1, "two users that start together share one server"
    first.leave()
    third = User(directory)
    assert third.server_started() in started, "the server lived on for the second user"
    second.leave()
    third.leave()
    assert is_gone(directory)


def test_the_server_stops_when_its_last_user_was_killed(directory: Path) -> None:
    user = User(directory)
    user.server_started()
    user.kill()
    assert is_gone(directory)


def test_a_killed_watcher_takes_the_server_along_and_the_next_user_starts_both_again(directory: Path) -> None:
    user = User(directory)
    before = user.server_started()
    watcher = psutil.Process(server_pid(directory)).parent()
    assert watcher
    assert "ktrdr_site.embedded.watcher" in watcher.cmdline()
    watcher.kill()
    other = User(directory)
    assert other.server_started() != before
    user.kill()
    other.leave()


def test_a_killed_server_is_started_again_for_the_next_connection_and_keeps_what_was_committed(
    directory: Path,
) -> None:
    host = lease.ensure_running(directory)
    with psycopg.connect(host=str(host), user="ktrdr", dbname="ktrdr") as connection:
        connection.execute("create table kept as select 42 as answer")
    os.kill(server_pid(directory), signal.SIGKILL)
    until(lambda: not lease._is_locked(directory / cluster.SERVER_LOCK), "the server is gone", GONE_WITHIN_S)
    host = lease.ensure_running(directory)
    with psycopg.connect(host=str(host), user="ktrdr", dbname="ktrdr") as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_path_too_long_for_a_socket_gets_a_private_short_one(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / "postgres"
    host = lease.ensure_running(directory)
    try:
        assert host.parent == Path("/tmp")
        assert host.stat().st_mode & 0o777 == 0o700
        psycopg.connect(host=str(host), user="ktrdr", dbname="ktrdr").close()
    finally:
        assert lease.release(directory, stretched(GONE_WITHIN_S))
    assert not host.exists()


def test_cluster_and_socket_belong_to_nobody_else_and_no_folder_above_changes(directory: Path) -> None:
    directory.parent.chmod(0o700)
    host = lease.ensure_running(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / cluster.CLUSTER).stat().st_mode & 0o777 == 0o700
    assert host.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert psutil.Process(server_pid(directory)).uids().effective != 0


def test_a_database_of_another_version_is_refused_and_left_alone(directory: Path) -> None:
    lease.ensure_running(directory)
    assert lease.release(directory, stretched(GONE_WITHIN_S))
    version = directory / cluster.CLUSTER / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(lease.EmbeddedServerError, match=r"contains a PostgreSQL 15 database.* runs 18"):
        lease.ensure_running(directory)
    assert version.read_text() == "15\n"


def test_a_directory_that_cannot_be_created_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(lease.EmbeddedServerError, match=r"cannot be used .* set KTRDR_DATA_DIR"):
        lease.ensure_running(tmp_path / "file" / "postgres")


def test_a_directory_closed_to_the_account_needs_a_capability_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Account(uid=54321, gid=54321, name="stranger")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "file").write_text("")
    assert reachable(Path("/"), stranger)
    assert not reachable(hidden / "file", stranger)
    monkeypatch.setattr("ktrdr_site.embedded.account._permitted_capabilities", lambda: 0)
    assert needed_capability([Path("/")], stranger) is None
    with pytest.raises(NoAccountError, match=f"its user stranger cannot reach {hidden / 'file'}"):
        needed_capability([hidden / "file"], stranger)
