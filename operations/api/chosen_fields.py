"""The rows of `GET /operations?fields=`: only the named fields, and only the columns and relations that they need."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from access.problems import invalid
from operations.api.serializers import OperationSerializer, operations_for_serializer
from operations.listed_results import headlines_of, with_listed_results
from operations.models import Operation
from operations.presentation.subject import strategies_of_models, subject
from operations.printed_results import printed_values
from operations.registered_kinds import kind_of

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
    "result": ("result", "result_values"),
    "error_message": ("error",),
    "error_traceback": ("error",),
}
"""Column -> the fields that need it."""
HEADLINE = {
    "type": ["object", "null"],
    "properties": {"name": {"type": "string"}, "text": {"type": "string"}},
    "required": ["name", "text"],
}
RESULT_VALUES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "text": {"type": "string"}},
        "required": ["title", "text"],
    },
}


class ChosenFieldsSerializer(OperationSerializer):
    """Serializes the fields named in the context of `context_of`; `subject`, `headline` and `result_values` are computed only if named."""

    subject = serializers.SerializerMethodField(help_text="strategy and symbols")
    headline = serializers.SerializerMethodField(help_text="the one value that summarizes the result")
    result_values = serializers.SerializerMethodField(
        help_text="the values of the result as text, with their titles"
    )

    class Meta(OperationSerializer.Meta):
        fields = (*OperationSerializer.Meta.fields, "subject", "headline", "result_values")

    def get_fields(self) -> dict[str, Any]:
        chosen = self.context["fields"]
        return {name: field for name, field in super().get_fields().items() if name in chosen}

    def get_subject(self, operation: Operation) -> str:
        return subject(operation, self.context["strategies"])

    @extend_schema_field(HEADLINE)
    def get_headline(self, operation: Operation) -> dict[str, str] | None:
        headline = self.context["headlines"].get(operation.pk)
        return None if headline is None else {"name": headline.name, "text": headline.text}

    @extend_schema_field(RESULT_VALUES)
    def get_result_values(self, operation: Operation) -> list[dict[str, str]]:
        values = printed_values(kind_of(operation.operation_type), operation.result or {})
        return [{"title": title, "text": text} for title, text in values]


FIELD_NAMES = ChosenFieldsSerializer.Meta.fields
USUAL_FIELDS = frozenset(OperationSerializer.Meta.fields) - {"parameters", "result"}
"""Those two may be large: the text of a strategy, the result of an own worker."""
FIELDS_PARAMETER = OpenApiParameter(
    "fields",
    {"type": "string", "pattern": "^[a-z_]+(,[a-z_]+)*$", "maxLength": 1000},
    description=f"names of fields separated by commas; the others are left out, except {ALWAYS}. "
    "`parameters`, `result`, `subject` (strategy and symbols), `headline` (the value that summarizes the result) and `result_values` (its values as text) are returned only if named",
)


def read_fields(query: Mapping[str, str]) -> frozenset[str]:
    """Return the fields of `?fields=`, or the usual ones. Raises Invalid."""
    text = query.get("fields")
    if text is None:
        return USUAL_FIELDS
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
    if chosen & {"result", "result_values"}:
        rows = rows.defer(None)
    return rows.defer("note", *unused)


def context_of(rows: Iterable[Operation], fields: Collection[str]) -> dict[str, Any]:
    """Return the context of `ChosenFieldsSerializer`: what its computed fields need of all rows together."""
    return {
        "fields": fields,
        "strategies": strategies_of_models(rows) if "subject" in fields else {},
        "headlines": headlines_of(rows) if "headline" in fields else {},
    }
