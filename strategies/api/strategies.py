"""Saved strategies: list, save, change, delete with undo."""

from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.problems import CursorPagination, body, invalid, validate
from operations.example_requests import RULES_STRATEGY
from operations.labels import normalize_tag
from strategies import saving
from strategies.api.lookup import get_or_404, user_of, write
from strategies.api.serializers import DeletedStrategySerializer, SavedStrategySerializer
from strategies.models import SavedStrategy
from strategies.requests import NewStrategy, StrategyChange

EXAMPLE = {"strategy_yaml": RULES_STRATEGY, "name": "ma_cross", "tags": ["trend"], "change": "first draft"}


class StrategyFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library has no types
    """`?search=&tag=&archived=`"""

    search = django_filters.CharFilter(method="by_text", label="part of the name, title or note")
    tag = django_filters.CharFilter(method="by_tag", label="a tag")
    archived = django_filters.ChoiceFilter(
        method="by_archived",
        choices=[("false", "no"), ("true", "yes"), ("any", "both")],
        label="false (default): not archived; true: only archived; any: both",
    )

    class Meta:
        model = SavedStrategy
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[SavedStrategy]) -> QuerySet[SavedStrategy]:
        for name, value in self.data.items():
            if "\x00" in str(value):
                raise invalid(f"/{name}", "Text may not contain NUL characters.")
        filtered: QuerySet[SavedStrategy] = super().filter_queryset(queryset)
        return filtered if self.data.get("archived") else filtered.filter(archived_at__isnull=True)

    def by_text(self, queryset: QuerySet[SavedStrategy], name: str, value: str) -> QuerySet[SavedStrategy]:
        return queryset.filter(
            Q(name__icontains=value) | Q(title__icontains=value) | Q(note__icontains=value)
        )

    def by_tag(self, queryset: QuerySet[SavedStrategy], name: str, value: str) -> QuerySet[SavedStrategy]:
        try:
            return queryset.filter(tags=normalize_tag(value))
        except ValueError as error:
            raise invalid("/tag", f"{error}.") from error

    def by_archived(
        self, queryset: QuerySet[SavedStrategy], name: str, value: str
    ) -> QuerySet[SavedStrategy]:
        return queryset if value == "any" else queryset.filter(archived_at__isnull=value == "false")


class LastChangedFirst(CursorPagination):
    ordering = ("-changed_at", "-id")


class StrategyList(ListAPIView[SavedStrategy]):
    serializer_class = SavedStrategySerializer
    pagination_class = LastChangedFirst
    filterset_class = StrategyFilter

    def get_queryset(self) -> Any:
        rows = SavedStrategy.objects.with_current()
        return rows.select_related("created_by").prefetch_related("tags")

    @extend_schema(
        operation_id="strategies_create",
        request=NewStrategy,
        responses={201: SavedStrategySerializer},
        examples=[OpenApiExample("A rules strategy", value=EXAMPLE, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Save a strategy as version 1, without running it. 422 with line and column if the file is not valid."""
        new = validate(NewStrategy, body(request))
        strategy = write(lambda: saving.create(new, user_of(request)))
        data = SavedStrategySerializer(get_or_404(strategy.name)).data
        headers = {"Location": request.build_absolute_uri(f"/strategies/{strategy.name}")}
        return Response(data, status=status.HTTP_201_CREATED, headers=headers)


class StrategyDetail(APIView):
    example: ClassVar = {"title": "Moving averages that cross", "tags": ["trend"]}

    @extend_schema(operation_id="strategies_retrieve", responses=SavedStrategySerializer)
    def get(self, request: Request, name: str) -> Response:
        """Return a saved strategy; `versions` has its texts."""
        return Response(SavedStrategySerializer(get_or_404(name)).data)

    @extend_schema(
        operation_id="strategies_update", request=StrategyChange, responses=SavedStrategySerializer
    )
    def patch(self, request: Request, name: str) -> Response:
        """Change name, title, note or tags, archive it or show it again. 409 if the name is taken."""
        get_or_404(name)
        changes = validate(StrategyChange, body(request))
        strategy = write(lambda: saving.change(name, changes))
        return Response(SavedStrategySerializer(get_or_404(strategy.name)).data)


class DeleteStrategy(APIView):
    @extend_schema(operation_id="strategies_delete", request=None, responses=DeletedStrategySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Delete a saved strategy: hide it now, and remove it after some days unless it is restored. Its runs stay."""
        actor = Actor.from_request(request)
        return Response(DeletedStrategySerializer(write(lambda: saving.delete(name, actor))).data)


class RestoreStrategy(APIView):
    @extend_schema(operation_id="strategies_restore", request=None, responses=SavedStrategySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Restore the strategy that was deleted last under this name. 409 if another one has the name now."""
        actor = Actor.from_request(request)
        strategy = write(lambda: saving.restore(name, actor))
        return Response(SavedStrategySerializer(get_or_404(strategy.name)).data)
