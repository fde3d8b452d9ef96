"""Tables out of the database and back into it, as PostgreSQL's own text format."""

import gzip
from collections.abc import Iterable
from typing import IO

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from ktrdr_site.backup.manifest import CHUNK, BackupError, Table

LEFT_OUT = frozenset({"django_migrations", "django_session", "django_q_ormq"})
"""Made by the migrations themselves; keys to people's sessions; chores that were about to run."""
MUST_BE_EMPTY = (
    "auth_user",
    "registry_worker",
    "operations_operation",
    "operations_storedfile",
    "ktrdr_site_apitoken",
)


def begin_snapshot() -> None:
    """In an open transaction that has asked nothing yet: all that it reads is of one moment."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def ours() -> list[str]:
    """The tables of the site that there are."""
    found = connection.introspection.django_table_names(only_existing=True)
    return sorted(set(found) - LEFT_OUT)


def columns(table: str) -> tuple[str, ...]:
    """In the table's order; without those that the database computes from the others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [_quoted(table)],
        )
        return tuple(name for (name,) in cursor.fetchall())


def save(table: str, target: IO[bytes]) -> Table:
    names = columns(table)
    with connection.cursor() as cursor, gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed:
        with cursor.copy(f"COPY {_quoted(table)} ({_list(names)}) TO STDOUT") as rows:
            for block in rows:
                packed.write(block)
        return Table(columns=names, rows=max(0, cursor.rowcount))


def load(table: str, described: Table, source: IO[bytes]) -> None:
    """Fills the empty table. Raises BackupError where the rows are not as many as described."""
    with connection.cursor() as cursor, gzip.GzipFile(fileobj=source, mode="rb") as packed:
        with cursor.copy(f"COPY {_quoted(table)} ({_list(described.columns)}) FROM STDIN") as rows:
            while block := packed.read(CHUNK):
                rows.write(block)
        if cursor.rowcount != described.rows:
            raise BackupError(
                f"{table} has {cursor.rowcount} rows in the archive, and its manifest says {described.rows}"
            )


def clear(tables: Iterable[str]) -> None:
    """What the migrations filled by themselves."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {_list(tables)}")


def continue_numbering(table: str, names: Iterable[str]) -> None:
    """The next row gets a number after those that are there."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [_quoted(table), name])
            (sequence,) = cursor.fetchone() or (None,)
            if sequence is not None:
                cursor.execute(
                    f"SELECT setval(%s, COALESCE(max({_quoted(name)}), 0) + 1, false) FROM {_quoted(table)}",  # noqa: S608  # nosec B608 # names of ours
                    [sequence],
                )


def applied() -> tuple[tuple[str, str], ...]:
    """The newest applied migration of each branch."""
    graph = MigrationExecutor(connection).loader.graph
    known = set(MigrationRecorder(connection).applied_migrations()) & set(graph.nodes)
    return tuple(sorted(key for key in known if not _children(graph, key) & known))


def _children(graph: object, key: tuple[str, str]) -> set[tuple[str, str]]:
    return {child.key for child in graph.node_map[key].children if child.key[0] == key[0]}  # type: ignore[attr-defined]


def migrate_to(migrations: Iterable[tuple[str, str]]) -> None:
    """The schema as it was, made by the code that is here. Raises BackupError where that code does not know it."""
    executor = MigrationExecutor(connection)
    targets = list(migrations)
    unknown = sorted(set(targets) - set(executor.loader.graph.nodes))
    if unknown:
        app, name = unknown[0]
        raise BackupError(
            f"the archive is of a newer KTRDR (it has the migration {app}.{name}): upgrade first"
        )
    wanted = {key for target in targets for key in executor.loader.graph.forwards_plan(target)}
    beyond = sorted(set(executor.loader.applied_migrations) - wanted)
    if beyond:
        app, name = beyond[0]
        raise BackupError(
            f"the database has the migration {app}.{name}, which the archive is older than: give an empty database"
        )
    executor.migrate(targets)


def refuse_occupied() -> None:
    """Raises BackupError where the database is somebody's."""
    there = set(connection.introspection.table_names())
    if there and "django_migrations" not in there:
        raise BackupError(f"the database has tables of something else ({min(there)}): give an empty one")
    with connection.cursor() as cursor:
        for table in sorted(there.intersection(MUST_BE_EMPTY)):
            cursor.execute(f"SELECT EXISTS (SELECT FROM {_quoted(table)})")  # noqa: S608  # nosec B608 # a name of ours
            if (cursor.fetchone() or (False,))[0]:
                raise BackupError(
                    f"the database is in use (there are rows in {table}): a backup is restored only into an empty one"
                )


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _list(names: Iterable[str]) -> str:
    return ", ".join(_quoted(name) for name in names)
