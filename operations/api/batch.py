"""`POST /operations/batch`."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema, inline_serializer
from pydantic import BaseModel, ConfigDict, Field
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import body, validate
from operations import example_requests
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, submitter
from operations.api.serializers import SubmittedSerializer
from operations.batches import MAX_ITEMS, find_repeated_batch, submit_batch


class BatchRequest(BaseModel):
    """Each item is the body of `POST /operations`, or the `operation_type` with the fields of its kind's own request."""

    model_config = ConfigDict(extra="forbid")

    operations: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ITEMS)


class SubmitBatch(APIView):
    example = example_requests.BATCH

    @extend_schema(
        request=BatchRequest,
        responses={202: inline_serializer("SubmittedBatch", {"results": SubmittedSerializer(many=True)})},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.request_example("A run, and one that uses its model", example_requests.BATCH)],
    )
    def post(self, request: Request) -> Response:
        """Submit up to 1,000 operations, all or none.

        The results are in the order of the request. `#N` in `after` and `model` refers to the item with that index,
        which must be an earlier one. `queue: false` is not available.
        """
        data = body(request)
        by = submitter(request, data)
        operations = find_repeated_batch(by) or submit_batch(validate(BatchRequest, data).operations, by)
        results = SubmittedSerializer(
            operations,  # type: ignore[arg-type]  # the stubs know no many=True
            many=True,
            context={"request": request},
        ).data
        return Response({"results": results}, status=status.HTTP_202_ACCEPTED)


urlpatterns = [path("operations/batch", SubmitBatch.as_view(), name="submit-batch")]
