"""The API for workers: reports, checkpoints and files, each under the worker's own token."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import FileResponse
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel, ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from access.permissions import ByRole
from access.problems import Conflict, Invalid, Problem, pointer
from operations import artifacts, reports
from operations.api.files import file_response
from operations.models import Operation, StoredFile
from registry.auth import Incarnation, IsWorker, WorkerAuthentication
from worker_agent.protocol import CheckpointReport, Report

Model = TypeVar("Model", bound=BaseModel)
MAX_MESSAGE = 32 * 1024**2
"""Bytes of a report: 10,000 metric points and as many log lines fit."""
CHUNK = 256 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")


class RawParser(BaseParser):
    """Leaves the body on the wire: it is read by whoever checks its size."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return None


class WorkerView(APIView):
    authentication_classes = (WorkerAuthentication,)
    permission_classes = (IsWorker,)
    parser_classes = (RawParser,)


def chunks(request: Request) -> Iterator[bytes]:
    stream = request._request  # DRF's own stream would parse, Django's reads from the wire
    while chunk := stream.read(CHUNK):
        yield chunk


def message(request: Request, model: type[Model]) -> Model:
    content = bytearray()
    for chunk in chunks(request):
        content += chunk
        if len(content) > MAX_MESSAGE:
            raise Problem(
                f"A message may have at most {MAX_MESSAGE} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            )
    try:
        return model.model_validate_json(bytes(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            raise Problem("The body is not JSON.") from error
        errors = [{"pointer": pointer(one["loc"]), "detail": one["msg"]} for one in problems[:50]]
        raise Invalid(f"This is not a {model.__name__} of the protocol.", errors=errors) from error


def verdict_response(verdict: reports.Verdict) -> Response:
    if verdict is reports.Verdict.REFUSED:
        raise Conflict("This attempt is not the operation's current one: nothing was changed.")
    return Response({"status": verdict})


def worker_or_none(request: Request) -> str | None:
    who: object = request.user
    return who.worker.worker_id if isinstance(who, Incarnation) else None


def worker_of(request: Request) -> str:
    worker_id = worker_or_none(request)
    assert worker_id is not None, "the permission lets only workers in"
    return worker_id


class Reports(WorkerView):
    @extend_schema(request=Report, responses={200: {"type": "object"}})
    def post(self, request: Request, operation_id: str) -> Response:
        """The end of an attempt. Repeated: 200 again. Of an attempt that counts no more: 409."""
        report = message(request, Report)
        try:
            return verdict_response(reports.apply(operation_id, worker_of(request), report))
        except Operation.DoesNotExist as error:
            raise NotFound("There is no such operation.") from error
        except reports.MissingFiles as error:
            raise Invalid(f"Put its files first: {error}.", errors=_missing(error)) from error


class Checkpoints(WorkerView):
    @extend_schema(request=CheckpointReport, responses={200: {"type": "object"}})
    def post(self, request: Request, operation_id: str) -> Response:
        report = message(request, CheckpointReport)
        try:
            return verdict_response(reports.add_checkpoint(operation_id, worker_of(request), report))
        except Operation.DoesNotExist as error:
            raise NotFound("There is no such operation.") from error
        except reports.MissingFiles as error:
            raise Invalid(f"Put its files first: {error}.", errors=_missing(error)) from error


def _missing(error: reports.MissingFiles) -> list[dict[str, str]]:
    return [{"pointer": "/artifacts", "detail": f"{name} is not stored"} for name in error.names]


class File(APIView):
    """Put by workers that have an attempt; read by them as far as it concerns them, and by people."""

    authentication_classes = [WorkerAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES]  # type: ignore[list-item]  # the stubs have the setting's text
    permission_classes = (IsWorker | ByRole,)
    parser_classes = (RawParser,)

    @extend_schema(request={"application/octet-stream": bytes}, responses={201: {"type": "object"}})
    def put(self, request: Request, sha256: str) -> Response:
        worker_id = worker_or_none(request)
        if worker_id is None or not artifacts.writable_by_worker(worker_id):
            self.permission_denied(request, "Only a worker that has an attempt may put files.")
        _check_hash(sha256)
        try:
            stored = artifacts.put(chunks(request), expected=sha256)
        except artifacts.Corrupt as error:
            raise Invalid(str(error)) from error
        except artifacts.TooLarge as error:
            raise Problem(str(error), status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from error
        except artifacts.NoSpace as error:
            raise Problem(str(error), status=HTTPStatus.INSUFFICIENT_STORAGE) from error
        return Response({"sha256": stored.sha256, "size": stored.size}, status=HTTPStatus.CREATED)

    @extend_schema(responses={(200, "application/octet-stream"): bytes})
    def get(self, request: Request, sha256: str) -> FileResponse:
        _check_hash(sha256)
        worker_id = worker_or_none(request)
        if worker_id is not None and not artifacts.readable_by_worker(worker_id, sha256):
            self.permission_denied(request, "The worker's current operation does not name this file.")
        if not StoredFile.objects.filter(pk=sha256).exists():
            raise NotFound("There is no such file.")
        return file_response(sha256, sha256)


def _check_hash(sha256: str) -> None:
    if not SHA256.fullmatch(sha256):
        raise NotFound("This is not a SHA-256.")
