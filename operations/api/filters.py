"""Filters of `GET /operations`."""

import django_filters
from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from access.problems import invalid
from operations.models import Operation
from operations.states import FINAL, Status

MAX_SEARCH = 200


class OperationFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library has no types
    """`?status=&operation_type=&worker_id=&created_by=&active=true&search=`"""

    status = django_filters.CharFilter(method="by_status", label="one or more statuses, separated by commas")
    operation_type = django_filters.CharFilter()
    worker_id = django_filters.CharFilter()
    created_by = django_filters.CharFilter(field_name="created_by__username", label="a user's name")
    active = django_filters.BooleanFilter(method="by_active", label="true: not ended yet")
    search = django_filters.CharFilter(method="by_text", label="text in the id, the parameters or the error")

    class Meta:
        model = Operation
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        for name, value in self.data.items():
            if "\x00" in str(value):
                raise invalid(f"/{name}", "Text may not contain NUL characters.")
        filtered: QuerySet[Operation] = super().filter_queryset(queryset)
        return filtered

    def by_status(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        statuses = {part.strip().upper() for part in value.split(",")}
        if unknown := statuses - set(Status):
            raise invalid(
                "/status", f"Unknown status {', '.join(sorted(unknown))}; use one of {', '.join(Status)}."
            )
        return queryset.filter(status__in=statuses)

    def by_active(self, queryset: QuerySet[Operation], name: str, value: bool) -> QuerySet[Operation]:
        ended = Q(status__in=FINAL)
        return queryset.filter(~ended if value else ended)

    def by_text(self, queryset: QuerySet[Operation], name: str, value: str) -> QuerySet[Operation]:
        text = value[:MAX_SEARCH]
        matches = (
            Q(operation_id__istartswith=text)
            | Q(error_message__icontains=text)
            | Q(operation_type__icontains=text)
            | Q(parameters_text__icontains=text)
        )
        return queryset.annotate(parameters_text=Cast("parameters", CharField())).filter(matches)
