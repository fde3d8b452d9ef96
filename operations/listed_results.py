"""Results in lists: one value that summarizes each, without loading those of own types, which may have a megabyte."""

from django.db.models import Case, F, Func, JSONField, QuerySet, When

from operations.headline import Headline
from operations.kind import all_kinds, kind_of
from operations.models import Operation


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
    """Add what `headline_of` needs, and do not load the results themselves."""
    registered = [kind.operation_type for kind in all_kinds()]
    listed = Case(
        When(operation_type__in=registered, then=F("result")),
        default=_ShortValues(F("result")),
        output_field=JSONField(),
    )
    return rows.defer("result").annotate(listed_result=listed)


def headline_of(operation: Operation) -> Headline | None:
    """Summarize the result of an operation, whose row may be one of `with_listed_results`."""
    result = operation.listed_result if hasattr(operation, "listed_result") else operation.result
    return kind_of(operation.operation_type).headline(result or {})
