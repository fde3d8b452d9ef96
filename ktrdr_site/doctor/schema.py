"""The tables of the database, compared with the models of this code."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import connection
from django.db.models import Model

from ktrdr_site.doctor.finding import Finding, problem

NAMED = 5
"""Differences that one finding names."""
SPELLINGS = {"varchar": "character varying", "serial": "integer", "bigserial": "bigint"}
"""Names of types in Django -> in PostgreSQL's catalogue."""
COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), NOT attnotnull,
           atthasdef OR attidentity <> ''
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class Column:
    type: str
    """As PostgreSQL spells it, such as `character varying(32)`."""
    nullable: bool
    has_default: bool = False
    """The database fills it in when an INSERT omits it."""


Tables = dict[str, dict[str, Column]]


def differences() -> Iterator[Finding]:
    """Find what a wrong or interrupted upgrade left behind: `migrations` looks only at the list of applied migrations."""
    faults = list(_differences(_tables_of_the_models(), _tables_of_the_database()))
    if faults:
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        yield problem(
            "tables",
            f"The database differs from the models of this code: {'; '.join(faults[:NAMED])}{more}.",
            "Install the code of the version that the database was last upgraded with, or restore the backup from before that upgrade.",
        )


def _differences(models: Tables, database: Tables) -> Iterator[str]:
    for table, columns in sorted(models.items()):
        if table not in database:
            yield f"table {table} is missing"
            continue
        for name, column in sorted(columns.items()):
            if name not in database[table]:
                yield f"column {table}.{name} is missing"
                continue
            stored = database[table][name]
            if stored.type != column.type:
                yield f"column {table}.{name} is {stored.type} instead of {column.type}"
            if stored.nullable != column.nullable:
                yield f"column {table}.{name} {'allows' if stored.nullable else 'refuses'} NULL"
        for name, stored in sorted(database[table].items()):
            if name not in columns and not stored.nullable and not stored.has_default:
                yield f"column {table}.{name} is unknown and must be filled in"


def _tables_of_the_models() -> Tables:
    models = apps.get_models(include_auto_created=True)
    return {
        model._meta.db_table: _columns(model)
        for model in models
        if model._meta.managed and not model._meta.proxy
    }


def _columns(model: type[Model]) -> dict[str, Column]:
    columns = {}
    for field in model._meta.local_concrete_fields:
        spelling, column = field.db_type(connection), field.column
        # Django gives the row number of a many-to-many table one type in the model and another one in its migrations.
        if spelling is None or column is None or (model._meta.auto_created and field.primary_key):
            continue
        name, bracket, rest = spelling.partition("(")
        # PostgreSQL computes a generated column, without NOT NULL.
        columns[column] = Column(f"{SPELLINGS.get(name, name)}{bracket}{rest}", field.null or field.generated)
    return columns


def _tables_of_the_database() -> Tables:
    tables: Tables = {}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        for table, name, spelling, nullable, has_default in cursor.fetchall():
            tables.setdefault(table, {})[name] = Column(spelling, nullable, has_default)
    return tables
