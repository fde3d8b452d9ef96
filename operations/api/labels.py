"""Deletion with undo, and tags with their goal and note. `operations` has the labels of one operation, `bulk` of many."""

from datetime import datetime
from typing import ClassVar

from django.db.models import Count, Q, QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, inline_serializer
from pydantic import BaseModel, ConfigDict
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import body, validate
from operations import deletion
from operations.actors import Actor
from operations.api.base import changing, operation_response
from operations.api.serializers import OperationDetailSerializer
from operations.labels import Note, Title, normalize_tag
from operations.models import Operation, Tag


class DeletedSerializer(serializers.Serializer[Operation]):
    operation_id = serializers.CharField()
    deleted_at = serializers.DateTimeField()
    removed_after = serializers.SerializerMethodField(help_text="it can be restored until then")

    def get_removed_after(self, operation: Operation) -> datetime | None:
        return deletion.removed_after(operation)


class Delete(APIView):
    @extend_schema(operation_id="operations_delete", request=None, responses=DeletedSerializer)
    def post(self, request: Request, operation_id: str) -> Response:
        """Delete an operation that has ended: hide it now, and remove it after some days unless it is restored.

        409 if it runs, if another operation needs it, or if it belongs to something larger, such as a study. Its files
        go when nothing else refers to them.
        """
        with changing(operation_id):
            operation = deletion.delete(operation_id, Actor.from_request(request))
        return Response(DeletedSerializer(operation).data)


class Restore(APIView):
    @extend_schema(operation_id="operations_restore", request=None, responses=OperationDetailSerializer)
    def post(self, request: Request, operation_id: str) -> Response:
        """Restore a deleted operation."""
        with changing(operation_id, Operation.with_deleted.all()):
            deletion.restore(operation_id, Actor.from_request(request))
        return operation_response(request, operation_id)


class TagChange(BaseModel):
    """The goal and the note of a tag; one that is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")

    goal: Title | None = None
    note: Note | None = None


class TagSerializer(serializers.ModelSerializer[Tag]):
    name = serializers.CharField()
    operations = serializers.IntegerField(source="number", help_text="how many operations have it")

    class Meta:
        model = Tag
        fields = ("name", "goal", "note", "operations")


def tags_in_use() -> QuerySet[Tag]:
    """Return the tags that an operation has or that have a goal or note, with the number of their operations."""
    visible = Count("operations", filter=Q(operations__deleted_at__isnull=True))
    return Tag.objects.annotate(number=visible).exclude(number=0, goal="", note="")


class Tags(APIView):
    @extend_schema(
        operation_id="tags_list",
        responses=inline_serializer("TagList", {"results": TagSerializer(many=True)}),
    )
    def get(self, request: Request) -> Response:
        """List the tags in use."""
        return Response({"results": TagSerializer(tags_in_use(), many=True).data})


class TagDetail(APIView):
    example: ClassVar = {"goal": "a robust entry on daily bars"}

    @extend_schema(operation_id="tags_retrieve", responses=TagSerializer)
    def get(self, request: Request, name: str) -> Response:
        """Return a tag."""
        return Response(TagSerializer(get_tag_or_404(name)).data)

    @extend_schema(operation_id="tags_update", request=TagChange, responses=TagSerializer)
    def patch(self, request: Request, name: str) -> Response:
        """Change the goal or the note of a tag."""
        tag = get_tag_or_404(name)
        change = validate(TagChange, body(request)).model_dump(exclude_none=True)
        if change:
            Tag.objects.filter(pk=tag.pk).update(**change)
        return Response(TagSerializer(get_tag_or_404(name)).data)


def get_tag_or_404(name: str) -> Tag:
    """Return the tag with the number of its operations. Raises NotFound."""
    try:
        tag = tags_in_use().filter(pk=normalize_tag(name)).first()
    except ValueError:
        tag = None
    if tag is None:
        raise NotFound("Unknown tag.")
    return tag


urlpatterns = [
    path("operations/<str:operation_id>/delete", Delete.as_view(), name="delete-operation"),
    path("operations/<str:operation_id>/restore", Restore.as_view(), name="restore-operation"),
    path("tags", Tags.as_view(), name="tags"),
    path("tags/<str:name>", TagDetail.as_view(), name="tag"),
]
