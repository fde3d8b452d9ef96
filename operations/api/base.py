"""What the API's views of this room share: who asks, one operation, and pages that follow a cursor."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from access.problems import body, checked, invalid
from operations.actors import Actor
from operations.api.serializers import SubmittedSerializer
from operations.models import Operation
from operations.requests import Submission
from operations.submission import Submitter, digest_of, repeated, submit

Body = TypeVar("Body", bound=BaseModel)
MAX_ID = 2**63 - 1
PAGE, MAX_PAGE = 1000, 10_000
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text of one's own, at most 255 characters: sent again with the same body, the answer is the same "
    "and nothing is started twice; with another body it is refused (422).",
)


def person(request: Request) -> Actor:
    assert isinstance(request.user, User), "the permission lets only people in"
    return Actor.from_request(request)


def submitter(request: Request, body: Any) -> Submitter:
    """`body` is what the idempotency key stands for, together with the path."""
    user = request.user
    assert isinstance(user, User), "the permission lets only people in"
    path = request.path.removeprefix("/api/v1")
    return Submitter(
        user=user,
        actor=person(request),
        idempotency_key=request.headers.get("Idempotency-Key", ""),
        request_sha256=digest_of(path, body),
    )


def submitted(request: Request, submission: Submission, by: Submitter) -> Response:
    return accepted(request, submit(submission, by))


def accepted(request: Request, operation: Operation) -> Response:
    """202, and where to follow it."""
    data = SubmittedSerializer(operation, context={"request": request}).data
    return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": data["url"]})


def start(request: Request, model: type[Body], build: Callable[[Body], Submission]) -> Response:
    """Submit the body once. A repetition is answered before its body is validated again."""
    data = body(request)
    by = submitter(request, data)
    if (before := repeated(by)) is not None:
        return accepted(request, before)
    return submitted(request, build(checked(model, data)), by)


def found(rows: QuerySet[Operation], operation_id: str) -> Operation:
    operation = None if "\x00" in operation_id else rows.filter(pk=operation_id).first()
    if operation is None:
        raise NotFound("There is no such operation.")
    return operation


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
        raise invalid(f"/{name}", f"{name} is a whole number from {least} to {most}.")
    return int(text)


def since(request: Request, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]) -> Response:
    """What is newer than `?cursor=`, oldest first, and the cursor to go on from.

    Rows of one operation are committed in the order of their ids (their writers hold the operation's row), so
    that a cursor never passes over one.
    """
    cursor = whole_number(request, "cursor", 0, 0, MAX_ID)
    limit = whole_number(request, "limit", PAGE, 1, MAX_PAGE)
    page = list(rows.filter(pk__gt=cursor).order_by("pk")[:limit])
    return Response(
        {"results": serializer(page, many=True).data, "next_cursor": page[-1].pk if page else cursor}
    )
