"""`GET /operation-types`: what can be submitted here, with the schema of the parameters and the workers that take it."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_serializer, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from operations.api.serializers import JsonObject
from operations.operation_types import describe_types


class AnnouncedSchemaSerializer(serializers.Serializer[Any]):
    worker_type = serializers.CharField()
    parameters_schema = JsonObject(help_text="JSON Schema (2020-12) that these workers announced")
    result_schema = JsonObject(
        allow_null=True, help_text="JSON Schema of the result, if they announced one; results are not checked"
    )
    timeout_s = serializers.IntegerField(
        allow_null=True, help_text="time limit of an attempt that they declare"
    )
    max_attempts = serializers.IntegerField(allow_null=True, help_text="times that the worker may be lost")
    max_running = serializers.IntegerField(
        allow_null=True, help_text="operations of the type at the same time"
    )


class WorkerCountsSerializer(serializers.Serializer[Any]):
    registered = serializers.IntegerField()
    busy = serializers.IntegerField()
    unavailable = serializers.IntegerField()
    cordoned = serializers.IntegerField()
    other_protocol = serializers.IntegerField(required=False, help_text="too old or too new for this backend")


@extend_schema_serializer(component_name="AvailableType")
class OperationTypeSerializer(serializers.Serializer[Any]):
    operation_type = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    submit_path = serializers.CharField(help_text="the path to which such operations are submitted")
    request_schema = JsonObject(
        allow_null=True, help_text="JSON Schema of the body; null if the body is a file or belongs to a study"
    )
    example = JsonObject(allow_null=True, help_text="a body of that request")
    announced = AnnouncedSchemaSerializer(many=True)
    workers = WorkerCountsSerializer(help_text="`GET /workers?operation_type=` lists them")


class OperationTypes(APIView):
    @extend_schema(
        operation_id="operation_types_list",
        responses=inline_serializer("AvailableTypeList", {"results": OperationTypeSerializer(many=True)}),
    )
    def get(self, request: Request) -> Response:
        """List the types of operations: the product's, and all that a worker has announced."""
        return Response({"results": OperationTypeSerializer(describe_types(), many=True).data})


class OperationTypeDetail(APIView):
    @extend_schema(operation_id="operation_types_retrieve", responses=OperationTypeSerializer)
    def get(self, request: Request, operation_type: str) -> Response:
        """Return one type of operations."""
        for described in describe_types():
            if described.operation_type == operation_type:
                return Response(OperationTypeSerializer(described).data)
        raise NotFound("No worker has announced operations of this type.")


urlpatterns = [
    path("operation-types", OperationTypes.as_view(), name="operation-types"),
    path("operation-types/<str:operation_type>", OperationTypeDetail.as_view(), name="operation-type"),
]
