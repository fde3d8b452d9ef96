"""Shared by the API views of this room: submission, lookup of an operation, and cursor pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from access.problems import Conflict, body, invalid, validate
from operations import deletion
from operations.actors import Actor
from operations.api.serializers import (
    OperationDetailSerializer,
    operations_for_serializer,
    submitted_fields,
)
from operations.insertion import Submitter
from operations.lifecycle import WrongState
from operations.models import Operation
from operations.requests import Submission
from operations.submission import digest_of, find_repeat, submit
from operations.waiting import explain_wait

Body = TypeVar("Body", bound=BaseModel)
MAX_ID = 2**63 - 1
PAGE, MAX_PAGE = 1000, 10_000
MAX_OFFSET = 1_000_000
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="Any text, at most 255 characters. A repetition with the same body returns the same response and starts "
    "nothing twice; with another body it is rejected (422).",
)


def submitter(request: Request, body: Any) -> Submitter:
    """Return the caller. The idempotency key covers `body` and the path."""
    user = request.user
    assert isinstance(user, User), "the permission admits only people"
    path = request.path.removeprefix("/api/v1")
    return Submitter(
        user=user,
        actor=Actor.from_request(request),
        idempotency_key=request.headers.get("Idempotency-Key", ""),
        request_sha256=digest_of(path, body),
    )


def accepted_response(request: Request, operation: Operation) -> Response:
    """Return 202 with the operation's URL."""
    data = submitted_fields(operation, request)
    return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": data["url"]})


def start(request: Request, model: type[Body], build: Callable[[Body], Submission]) -> Response:
    """Submit the body once. A repetition is answered before its body is validated again."""
    data = body(request)
    by = submitter(request, data)
    operation = find_repeat(by) or submit(build(validate(model, data)), by)
    return accepted_response(request, operation)


def get_or_404(operation_id: str, rows: QuerySet[Operation] | None = None) -> Operation:
    """Return the operation from `rows`, by default from all. Raises NotFound."""
    rows = Operation.objects.all() if rows is None else rows
    operation = None if "\x00" in operation_id else rows.filter(pk=operation_id).first()
    if operation is None:
        raise NotFound(_absence(operation_id))
    return operation


@contextmanager
def changing(operation_id: str, rows: QuerySet[Operation] | None = None) -> Iterator[None]:
    """Change the operation of `rows` in the block. Raises NotFound, also if it is deleted meanwhile, and Conflict."""
    get_or_404(operation_id, rows)
    try:
        yield
    except WrongState as error:
        raise Conflict(str(error)) from error
    except Operation.DoesNotExist as error:
        raise NotFound(_absence(operation_id)) from error


def _absence(operation_id: str) -> str:
    deleted = Operation.with_deleted.filter(
        pk=operation_id.replace("\x00", ""), deleted_at__isnull=False
    ).first()
    until = None if deleted is None else deletion.removed_after(deleted)
    if until is None:
        return "Unknown operation."
    return f"The operation was deleted; it can be restored until {until:%Y-%m-%d %H:%M} UTC."


def operation_response(request: Request, operation_id: str, code: int = status.HTTP_200_OK) -> Response:
    operation = get_or_404(operation_id, operations_for_serializer())
    explain_wait(operation)
    return Response(OperationDetailSerializer(operation, context={"request": request}).data, status=code)


def integer_parameter(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    """Return a query parameter. Raises Invalid."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not minimum <= int(text) <= maximum:
        raise invalid(f"/{name}", f"{name} must be a whole number from {minimum} to {maximum}.")
    return int(text)


def offset_parameters(page: int, max_page: int) -> list[OpenApiParameter]:
    """Describe `limit` and `offset` of a list that is divided by `offset_page`."""
    return [
        OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": max_page, "default": page}),
        OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}),
    ]


def offset_page(
    request: Request,
    rows: QuerySet[Any],
    serialize: Callable[[list[Any]], Any],
    *,
    page: int,
    max_page: int,
) -> Response:
    """Return the rows of `?limit=&offset=`, and the offset of the next page; None after the last one. Raises Invalid."""
    limit = integer_parameter(request, "limit", page, 1, max_page)
    offset = integer_parameter(request, "offset", 0, 0, MAX_OFFSET)
    shown = list(rows[offset : offset + limit])
    following = offset + limit if len(shown) == limit else None
    return Response({"results": serialize(shown), "next_offset": following})


def cursor_page(request: Request, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]) -> Response:
    """Return the rows newer than `?cursor=`, oldest first, and the next cursor.

    Rows of one operation are committed in the order of their ids (their writers hold the operation's row), so a cursor
    never skips one.
    """
    cursor = integer_parameter(request, "cursor", 0, 0, MAX_ID)
    limit = integer_parameter(request, "limit", PAGE, 1, MAX_PAGE)
    page = list(rows.filter(pk__gt=cursor).order_by("pk")[:limit])
    return Response(
        {"results": serializer(page, many=True).data, "next_cursor": page[-1].pk if page else cursor}
    )
