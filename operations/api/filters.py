"""Filters of `GET /operations`."""

from collections.abc import Mapping

import django_filters
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from access.problems import invalid, refuse_nul
from operations.labels import normalize_tag, with_tags
from operations.models import Operation
from operations.registered_kinds import part_types
from operations.runs.expressions import ExpressionError, parse
from operations.search import matches
from operations.states import FINAL, Status

SHOWING_PARTS = ("operation_type", "search", "parts", "ids")
MAX_IDS = 200
ARCHIVED: dict[str, dict[str, bool]] = {
    "false": {"archived_at__isnull": True},
    "true": {"archived_at__isnull": False},
    "any": {},
}
"""Value of `?archived=` -> condition."""


def rows_of_list(query: Mapping[str, str]) -> QuerySet[Operation]:
    """Return all operations that are not deleted, or with `?deleted=true` only those that are."""
    if query.get("deleted") == "true":
        return Operation.with_deleted.filter(deleted_at__isnull=False)
    return Operation.objects.all()


class OperationFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library has no types
    """`?status=&operation_type=&worker_id=&created_by=&created_after=&ids=&active=true&search=&tag=&archived=true&where=`"""

    status = django_filters.CharFilter(method="by_status", label="one or more statuses, separated by commas")
    operation_type = django_filters.CharFilter()
    worker_id = django_filters.CharFilter()
    created_by = django_filters.CharFilter(method="by_user", label="a user's name")
    created_after = django_filters.IsoDateTimeFilter(
        field_name="created_at",
        lookup_expr="gt",
        label="only operations that were submitted later (ISO 8601)",
    )
    ids = django_filters.CharFilter(
        method="by_ids",
        label=f"at most {MAX_IDS} ids, separated by commas; also archived ones and parts of studies",
    )
    active = django_filters.BooleanFilter(method="by_active", label="true: not ended yet")
    search = django_filters.CharFilter(
        method="by_text",
        label="text in the id, type, strategy name, parameters or error; a word if shorter than 3 characters",
    )

    tag = django_filters.CharFilter(
        method="by_tag", label="one or more tags, separated by commas: all of them"
    )
    archived = django_filters.ChoiceFilter(
        method="by_archived",
        choices=[("false", "no"), ("true", "yes"), ("any", "both")],
        label="false (default): not archived; true: only archived; any: both",
    )

    where = django_filters.CharFilter(
        method="by_expression", label="an expression such as `sharpe > 0.5 and trades > 30 and tag = fx`"
    )
    deleted = django_filters.BooleanFilter(method="by_deleted", label="true: only deleted ones")

    parts = django_filters.BooleanFilter(
        method="with_parts",
        label="true: also the operations of studies; a filter by type or text shows them as well",
    )

    class Meta:
        model = Operation
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        refuse_nul(self.data)
        if (
            not any(self.data.get(name) for name in ("archived", "ids"))
            and self.data.get("deleted") != "true"
        ):
            queryset = self.by_archived(queryset, "archived", "false")
        filtered: QuerySet[Operation] = super().filter_queryset(queryset)
        if any(self.data.get(name) for name in SHOWING_PARTS):
            return filtered
        return filtered.exclude(operation_type__in=part_types())

    def with_parts(self, queryset: QuerySet[Operation], name: str, value: bool) -> QuerySet[Operation]:
        return queryset if value else queryset.exclude(operation_type__in=part_types())

    def by_status(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        statuses = {part.strip().upper() for part in value.split(",")}
        if unknown := statuses - set(Status):
            raise invalid(
                "/status", f"Unknown status {', '.join(sorted(unknown))}; use one of {', '.join(Status)}."
            )
        return queryset.filter(status__in=statuses)

    def by_ids(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        ids = [part.strip() for part in value.split(",")]
        if len(ids) > MAX_IDS:
            raise invalid("/ids", f"At most {MAX_IDS} ids, not {len(ids)}; request them in several calls.")
        return queryset.filter(pk__in=ids)

    def by_active(self, queryset: QuerySet[Operation], name: str, value: bool) -> QuerySet[Operation]:
        ended = Q(status__in=FINAL)
        return queryset.filter(~ended if value else ended)

    def by_user(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        # The id first: joined by the name, the planner knows too little to use the index of the user's operations.
        user = User.objects.filter(username=value).first()
        return queryset.none() if user is None else queryset.filter(created_by=user)

    def by_tag(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        try:
            return with_tags(queryset, map(normalize_tag, value.split(",")))
        except ValueError as error:
            raise invalid("/tag", str(error)) from error

    def by_expression(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        try:
            return queryset.filter(parse(value))
        except ExpressionError as error:
            raise invalid("/where", str(error)) from error

    def by_deleted(self, queryset: QuerySet[Operation], name: str, value: bool) -> QuerySet[Operation]:
        return queryset  # `rows_of_list` chose the rows

    def by_archived(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        return queryset.filter(**ARCHIVED[value])

    def by_text(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        return queryset.filter(matches(value))
