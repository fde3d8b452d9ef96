"""The database, as this site reaches it."""

from collections.abc import Iterator

from django.db import DatabaseError, NotSupportedError, connection
from django.db.migrations.executor import MigrationExecutor

from ktrdr_site.doctor.finding import Finding, problem, warning

NEARLY_ALL = 0.8


def reachable() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except NotSupportedError as error:
        yield problem(
            "database",
            f"The database cannot be used: {_one_line(error)}.",
            "Upgrade the server in KTRDR_DATABASE_URL, or unset it to use the embedded one.",
        )
    except DatabaseError as error:
        yield problem(
            "database",
            f"Cannot connect to the database: {_one_line(error)}.",
            "Start PostgreSQL and check host, port, user and password in KTRDR_DATABASE_URL.",
        )


def connections_left() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int"
        )
        used, limit = cursor.fetchone()
    if used > NEARLY_ALL * limit:
        yield warning(
            "connections",
            f"{used} of the database's {limit} connections are in use.",
            "Raise max_connections in postgresql.conf, or run fewer web processes and threads.",
        )


def migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        first = missing[0][0]
        yield problem(
            "migrations",
            f"{len(missing)} migrations are not applied, starting with {first.app_label}.{first.name}.",
            "Run manage.py migrate.",
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
