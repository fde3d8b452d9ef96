"""Copies tables out of the database and back, in PostgreSQL's own text format."""

import gzip
from collections.abc import Iterable
from typing import IO

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from ktrdr_site.backup.manifest import CHUNK, BackupError, Table

NOT_RESTORED = frozenset({"django_q_task"})
"""Results of chores: pickles, which older archives contain."""
DERIVED = frozenset({"operations_searchtext"})
"""Written by triggers when other tables are loaded."""
EXCLUDED = (
    frozenset({"django_migrations", "django_session", "django_q_ormq", "registry_lease"})
    | NOT_RESTORED
    | DERIVED
)
"""Written by the migrations; keys to users' sessions; queued chores; duties of running processes."""
MUST_BE_EMPTY = (
    "auth_user",
    "registry_worker",
    "operations_operation",
    "operations_storedfile",
    "ktrdr_site_apitoken",
)


MOST_EXPANDED = 300
"""How many times its size a table may unpack to; 1,032 is the most that gzip can do, and rows reach 5 to 40."""
UNPACKED_FREELY = 256 * 1024**2
"""Bytes of a table that are not held to that: a small one may have very uniform rows."""


def begin_snapshot() -> None:
    """Make the open transaction, before its first query, read a snapshot."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def saved_tables() -> list[str]:
    """Return the existing tables of the site, except those that are not saved."""
    existing = connection.introspection.django_table_names(only_existing=True)
    return sorted(set(existing) - EXCLUDED)


def columns(table: str) -> tuple[str, ...]:
    """Return the columns in the table's order, without generated ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
            [_quote(table)],
        )
        return tuple(name for (name,) in cursor.fetchall())


def save(table: str, target: IO[bytes]) -> Table:
    names = columns(table)
    with connection.cursor() as cursor, gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed:
        with cursor.copy(f"COPY {_quote(table)} ({_list(names)}) TO STDOUT") as rows:
            for block in rows:
                packed.write(block)
        return Table(columns=names, rows=max(0, cursor.rowcount))


def load(table: str, manifest: Table, source: IO[bytes]) -> None:
    """Fill the empty table.

    Raises BackupError if it lacks a column of the manifest, gets another number of rows, or would fill the disk with the
    content of a small file.
    """
    # The names come from the archive and become SQL, in which COPY can run a program.
    unknown = sorted(set(manifest.columns) - set(columns(table)))
    if unknown:
        raise BackupError(f"{table} has no column {unknown[0]!r}, which the manifest names")
    with connection.cursor() as cursor, gzip.GzipFile(fileobj=source, mode="rb") as packed:
        with cursor.copy(f"COPY {_quote(table)} ({_list(manifest.columns)}) FROM STDIN") as rows:
            while block := packed.read(CHUNK):
                if packed.tell() > max(UNPACKED_FREELY, MOST_EXPANDED * source.tell()):
                    raise BackupError(
                        f"{table} unpacks to more than {MOST_EXPANDED} times its size, as no saved table does"
                    )
                rows.write(block)
        if cursor.rowcount != manifest.rows:
            raise BackupError(
                f"{table} has {cursor.rowcount} rows in the archive but {manifest.rows} in its manifest"
            )


def clear(tables: Iterable[str]) -> None:
    """Remove the rows that the migrations created, and what is derived from them."""
    derived = DERIVED.intersection(connection.introspection.table_names())
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {_list(derived.union(tables))}")


def continue_numbering(table: str, names: Iterable[str]) -> None:
    """Make the next row's number follow the existing ones."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [_quote(table), name])
            (sequence,) = cursor.fetchone() or (None,)
            if sequence is not None:
                cursor.execute(
                    f"SELECT setval(%s, COALESCE(max({_quote(name)}), 0) + 1, false) FROM {_quote(table)}",  # noqa: S608  # nosec B608 # our own names
                    [sequence],
                )


def newest_migrations() -> tuple[tuple[str, str], ...]:
    """Return the newest applied migration of each branch."""
    graph = MigrationExecutor(connection).loader.graph
    applied = set(MigrationRecorder(connection).applied_migrations()) & set(graph.nodes)
    return tuple(sorted(key for key in applied if not _children(graph, key) & applied))


def _children(graph: object, key: tuple[str, str]) -> set[tuple[str, str]]:
    return {child.key for child in graph.node_map[key].children if child.key[0] == key[0]}  # type: ignore[attr-defined]


def migrate_to(migrations: Iterable[tuple[str, str]]) -> None:
    """Create the schema of the archive with this code. Raises BackupError if this code does not have its migrations."""
    executor = MigrationExecutor(connection)
    targets = list(migrations)
    unknown = sorted(set(targets) - set(executor.loader.graph.nodes))
    if unknown:
        app, name = unknown[0]
        raise BackupError(
            f"the archive is from a newer KTRDR (it has the migration {app}.{name}); upgrade first"
        )
    needed = {key for target in targets for key in executor.loader.graph.forwards_plan(target)}
    beyond = sorted(set(executor.loader.applied_migrations) - needed)
    if beyond:
        app, name = beyond[0]
        raise BackupError(
            f"the database has the migration {app}.{name}, which is newer than the archive; use an empty database"
        )
    executor.migrate(targets)


def require_empty_database() -> None:
    """Raise BackupError if the database is in use."""
    existing = set(connection.introspection.table_names())
    if existing and "django_migrations" not in existing:
        raise BackupError(
            f"the database contains tables of another program ({min(existing)}); use an empty one"
        )
    with connection.cursor() as cursor:
        for table in sorted(existing.intersection(MUST_BE_EMPTY)):
            cursor.execute(f"SELECT EXISTS (SELECT FROM {_quote(table)})")  # noqa: S608  # nosec B608 # our own name
            if (cursor.fetchone() or (False,))[0]:
                raise BackupError(f"the database is in use ({table} has rows); restore into an empty one")


def _quote(name: str) -> str:
    return connection.ops.quote_name(name)


def _list(names: Iterable[str]) -> str:
    return ", ".join(_quote(name) for name in names)
