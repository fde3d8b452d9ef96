"""`GET /operations?fields=`: only the named fields, and only the columns and relations that they need."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from access.problems import invalid
from operations.api.serializers import OperationSerializer, operations_for_serializer
from operations.listed_results import headline_of, with_listed_results
from operations.models import Operation
from operations.presentation.subject import strategies_of_models, subject

ALWAYS = "operation_id"
RELATIONS = {
    "after": "after",
    "attempts": "attempts",
    "stalled_since": "attempts",
    "tags": "tags",
    "artifacts": "artifacts",
}
"""Field -> the relation that it needs."""
LARGE_COLUMNS = {
    "parameters": ("parameters", "subject"),
    "result": ("result",),
    "error_message": ("error",),
    "error_traceback": ("error",),
}
"""Column -> the fields that need it."""
HEADLINE = {
    "type": ["object", "null"],
    "properties": {"name": {"type": "string"}, "text": {"type": "string"}},
    "required": ["name", "text"],
}


class ChosenFieldsSerializer(OperationSerializer):
    """Serializes the fields named in the context's `fields`; `subject` and `headline` are computed only if named."""

    subject = serializers.SerializerMethodField(help_text="strategy and symbols")
    headline = serializers.SerializerMethodField(help_text="the one value that summarizes the result")

    class Meta(OperationSerializer.Meta):
        fields = (*OperationSerializer.Meta.fields, "subject", "headline")

    def get_fields(self) -> dict[str, Any]:
        chosen = self.context["fields"]
        return {name: field for name, field in super().get_fields().items() if name in chosen}

    def get_subject(self, operation: Operation) -> str:
        return subject(operation, self.context.get("strategies", {}))

    @extend_schema_field(HEADLINE)
    def get_headline(self, operation: Operation) -> dict[str, str] | None:
        headline = headline_of(operation)
        return None if headline is None else {"name": headline.name, "text": headline.text}


FIELD_NAMES = ChosenFieldsSerializer.Meta.fields
FIELDS_PARAMETER = OpenApiParameter(
    "fields",
    {"type": "string", "pattern": "^[a-z_]+(,[a-z_]+)*$", "maxLength": 1000},
    description=f"names of fields separated by commas; the others are left out, except {ALWAYS}. "
    "`subject` (strategy and symbols) and `headline` (the value that summarizes the result) are returned only if named",
)


def read_fields(query: Mapping[str, str]) -> frozenset[str] | None:
    """Return the fields of `?fields=`, or None for all of `OperationSerializer`. Raises Invalid."""
    text = query.get("fields")
    if text is None:
        return None
    names = {part.strip() for part in text.split(",")}
    if unknown := sorted(names - set(FIELD_NAMES)):
        raise invalid(
            "/fields",
            f"Unknown field {', '.join(unknown)[:80]!r}; choose from {', '.join(FIELD_NAMES[:8])} and the other fields of an operation.",
        )
    return frozenset(names | {ALWAYS})


def rows_with_fields(rows: QuerySet[Operation], fields: Iterable[str]) -> QuerySet[Operation]:
    """Return the rows with what these fields need, and nothing large that they do not."""
    chosen = set(fields)
    unused = [column for column, users in LARGE_COLUMNS.items() if not chosen.intersection(users)]
    relations = {RELATIONS[name] for name in chosen & RELATIONS.keys()}
    rows = operations_for_serializer(rows, relations)
    if "headline" in chosen:
        rows = with_listed_results(rows)
    if "result" in chosen:
        rows = rows.defer(None)
    return rows.defer("note", *unused)


def strategies_for(rows: Iterable[Operation], fields: Iterable[str]) -> dict[str, str]:
    """Return the names of strategies that `subject` needs for backtests of models."""
    return strategies_of_models(rows) if "subject" in fields else {}
