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
from ktrdr_site.embedded.account import (
    Account,
    NoAccountError,
    needed_capability,
    reachable,
    server_account,
    switch_to,
)
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
with psycopg.connect(host=str(host), user="ktrdr_app", dbname="ktrdr", autocommit=True) as connection:
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
    with psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE) as connection:
        connection.execute("create table kept as select 42 as answer")
    os.kill(server_pid(directory), signal.SIGKILL)
    until(lambda: not lease._is_locked(directory / cluster.SERVER_LOCK), "the server is gone", GONE_WITHIN_S)
    host = lease.ensure_running(directory)
    with psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_a_server_that_was_begun_is_the_one_that_the_first_use_waits_for(directory: Path) -> None:
    lease.begin(directory)
    assert not directory.exists(), "only an existing database is started before its use"
    lease.ensure_running(directory)
    assert is_gone(directory)
    lease.begin(directory)
    lease.begin(directory)
    other = User(directory)
    watchers = [process for process in processes_of(directory) if process.pid != other.process.pid]
    host = lease.ensure_running(directory)
    with psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE) as connection:
        started = connection.execute("select pg_postmaster_start_time()").fetchone()
    assert started is not None
    assert other.server_started() == str(started[0])
    other.leave()
    assert watchers, "begun before its first use"


def test_a_server_that_was_begun_and_never_used_stops_with_the_process(directory: Path) -> None:
    lease.ensure_running(directory)
    assert is_gone(directory)
    program = "import sys; from pathlib import Path; from ktrdr_site.embedded import lease; lease.begin(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)], cwd=ROOT, check=True, stderr=subprocess.PIPE
    )
    until(lambda: not processes_of(directory), "the server is gone", GONE_WITHIN_S)
    assert done.stderr == b""
    lease.begin(directory)
    assert is_gone(directory)


def test_a_server_that_was_begun_in_vain_is_reported_at_its_first_use(directory: Path) -> None:
    lease.ensure_running(directory)
    assert is_gone(directory)
    (directory / cluster.CLUSTER / "PG_VERSION").write_text("15\n")
    lease.begin(directory)
    with pytest.raises(lease.EmbeddedServerError, match="contains a PostgreSQL 15 database"):
        lease.ensure_running(directory)


@pytest.mark.parametrize("begin", [False, True])
def test_a_forked_process_keeps_no_lease_of_its_parent(directory: Path, begin: bool) -> None:
    lease.ensure_running(directory)
    if begin:
        assert is_gone(directory)
        lease.begin(directory)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    os.close(read_end)
    try:
        assert is_gone(directory), "the server stops while the forked process lives"
    finally:
        os.close(write_end)
        os.waitpid(child, 0)


def test_a_path_too_long_for_a_socket_gets_a_private_short_one(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / "postgres"
    host = lease.ensure_running(directory)
    try:
        assert host.parent == Path("/tmp")
        assert host.stat().st_mode & 0o777 == 0o700
        psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE).close()
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


# The application's role -------------------------------------------------------------------------------------

FORBIDDEN = [
    "COPY (SELECT 1) TO '/tmp/x'",
    "COPY pg_temp.t FROM '/etc/passwd'",
    "COPY pg_temp.t FROM PROGRAM 'id'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "CREATE ROLE another SUPERUSER",
    "ALTER ROLE ktrdr_app SUPERUSER",
    "SET ROLE ktrdr",
    "SET SESSION AUTHORIZATION ktrdr",
    "CREATE FUNCTION run(text) RETURNS int AS '/lib/x86_64-linux-gnu/libc.so.6', 'system' LANGUAGE C",
    "LOAD '/tmp/x.so'",
    "ALTER SYSTEM SET archive_command = 'id'",
]


@pytest.mark.parametrize("user", [cluster.SUPERUSER, "postgres", "another"])
def test_nobody_connects_as_another_role(directory: Path, user: str) -> None:
    host = lease.ensure_running(directory)
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        psycopg.connect(host=str(host), user=user, dbname=cluster.DATABASE)


def test_the_role_of_the_application_cannot_leave_the_database(directory: Path) -> None:
    host = lease.ensure_running(directory)
    with psycopg.connect(
        host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE, autocommit=True
    ) as connection:
        connection.execute("CREATE TEMP TABLE t (line text)")
        for command in FORBIDDEN:
            with pytest.raises(
                psycopg.Error,
                match=r"permission denied|must be|Only roles|could not (open|access)|not allowed",
            ):
                connection.execute(command)
        connection.execute("CREATE TABLE own (id bigserial PRIMARY KEY)")
        connection.execute("DROP TABLE own")


OLD_SCHEMA = [
    "CREATE TABLE plain (id bigserial PRIMARY KEY, text text)",
    "CREATE TABLE generated (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",
    "CREATE SEQUENCE counter",
    "CREATE VIEW shown AS SELECT * FROM plain",
    "CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain",
    'CREATE TABLE "a name; DROP TABLE plain" (id int)',
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO plain (text) VALUES ('written before')",
]


def make_old(directory: Path) -> None:
    """Turn the cluster into one of the time when the application was the superuser."""
    assert lease.release(directory, stretched(GONE_WITHIN_S))
    account = server_account(directory)
    become = switch_to(
        account, None if account is None else needed_capability(cluster.files_to_reach(directory), account)
    )
    data = directory / cluster.CLUSTER
    undo = [
        f"ALTER DATABASE {cluster.DATABASE} OWNER TO {cluster.SUPERUSER}",
        f"DROP OWNED BY {cluster.ROLE}",
        f"DROP ROLE {cluster.ROLE}",
    ]
    cluster._run_as_superuser(data, cluster.DATABASE, [*undo, *OLD_SCHEMA], become)
    ident = data / "pg_ident.conf"
    ident.write_text(ident.read_text().replace(cluster.ROLE, cluster.SUPERUSER))


def owners(host: Path) -> set[str]:
    with psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE) as connection:
        rows = connection.execute(
            "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'ktrdr'"
        ).fetchall()
    return {owner for (owner,) in rows}


def test_an_existing_database_is_given_to_the_role_at_the_next_start_once(directory: Path) -> None:
    lease.ensure_running(directory)
    make_old(directory)
    host = lease.ensure_running(directory)
    assert owners(host) == {cluster.ROLE}
    with psycopg.connect(host=str(host), user=cluster.ROLE, dbname=cluster.DATABASE) as connection:
        assert connection.execute("SELECT text FROM shown").fetchone() == ("written before",)
        connection.execute("INSERT INTO plain (text) VALUES ('later')")
        connection.execute("INSERT INTO generated DEFAULT VALUES")
        connection.execute("ALTER TABLE plain ADD COLUMN more int")
        connection.execute("DROP VIEW shown")
    before = (directory / cluster.CLUSTER / "pg_ident.conf").stat().st_mtime_ns
    assert lease.release(directory, stretched(GONE_WITHIN_S))
    lease.ensure_running(directory)
    assert (directory / cluster.CLUSTER / "pg_ident.conf").stat().st_mtime_ns == before


def test_a_change_of_owner_that_was_interrupted_is_made_again(directory: Path) -> None:
    lease.ensure_running(directory)
    make_old(directory)
    ident = directory / cluster.CLUSTER / "pg_ident.conf"
    old = ident.read_text()
    lease.ensure_running(directory)
    assert lease.release(directory, stretched(GONE_WITHIN_S))
    for interrupted in (old, ""):
        ident.write_text(interrupted)
        assert owners(lease.ensure_running(directory)) == {cluster.ROLE}
        assert lease.release(directory, stretched(GONE_WITHIN_S))
