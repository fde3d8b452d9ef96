"""Results in lists: one value that summarizes each, without loading those of own types, which may have a megabyte."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from django.db.models import Case, F, Func, JSONField, QuerySet, When

from operations.announced_kind import AnnouncedKind
from operations.announced_results import read_schemas
from operations.headline import Headline
from operations.kind import Kind
from operations.models import Operation
from operations.registered_kinds import all_kinds


class _ShortValues(Func):
    """The short numbers, texts and truth values at the top of a JSON object; null if there are none."""

    template = """(
        SELECT jsonb_object_agg(key, value) FROM (
            SELECT key, value
            FROM jsonb_each(CASE WHEN jsonb_typeof(%(expressions)s) = 'object' THEN %(expressions)s END)
            WHERE jsonb_typeof(value) IN ('number', 'string', 'boolean')
                AND octet_length(key) <= 100 AND octet_length(value::text) <= 300
            LIMIT 50
        ) AS short_values
    )"""
    output_field = JSONField()


def with_listed_results(rows: QuerySet[Operation]) -> QuerySet[Operation]:
    """Add what `headlines_of` needs, and do not load the results themselves."""
    registered = [kind.operation_type for kind in all_kinds()]
    listed = Case(
        When(operation_type__in=registered, then=F("result")),
        default=_ShortValues(F("result")),
        output_field=JSONField(),
    )
    return rows.defer("result").annotate(listed_result=listed)


def headlines_of(operations: Iterable[Operation]) -> dict[str, Headline]:
    """Summarize the results, by operation id. The rows may be those of `with_listed_results`. At most one query."""
    results = {row.pk: (row.operation_type, _result_of(row)) for row in operations}
    kinds = _kinds({operation_type for operation_type, result in results.values() if result})
    return {
        pk: headline
        for pk, (operation_type, result) in results.items()
        if result and (headline := kinds[operation_type].headline(result))
    }


def _result_of(row: Operation) -> Mapping[str, Any] | None:
    result: Mapping[str, Any] | None = row.listed_result if hasattr(row, "listed_result") else row.result
    return result


def _kinds(operation_types: Set[str]) -> dict[str, Kind]:
    registered = {kind.operation_type: kind for kind in all_kinds()}
    own = operation_types - registered.keys()
    schemas = read_schemas(own) if own else {}
    return {**registered, **{name: AnnouncedKind(name, schemas.get(name, {})) for name in own}}
