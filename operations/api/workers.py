"""The API for workers: reports, checkpoints and files, authenticated by the worker's own token."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from django.db import DataError
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel, ValidationError
from rest_framework.exceptions import APIException, NotFound
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from access.body_limits import accept_bodies
from access.permissions import ByRole
from access.problems import Conflict, Invalid, Problem
from operations import artifacts, job_secrets, plain_completions, reports
from operations.api.stored_responses import file_response
from operations.models import Operation, StoredFile
from registry.auth import (
    SCHEME,
    HasSignature,
    Incarnation,
    IsWorker,
    SignatureAuthentication,
    SignedWorker,
    WorkerAuthentication,
    require_registered,
)
from worker_agent.proof import ATTEMPT_HEADER
from worker_agent.protocol import CheckpointReport, Report, SecretsAnswer, SecretsRequest
from worker_agent.validation_messages import problems_of

Model = TypeVar("Model", bound=BaseModel)
MAX_MESSAGE = 32 * 1024**2
"""Maximum size of a report in bytes; 10,000 metric points and as many log lines fit."""
CHUNK = 256 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")


class RawParser(BaseParser):
    """Leaves the body unread, so that the view can check its size while reading."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return None


class WorkerView(APIView):
    authentication_classes = (WorkerAuthentication,)
    permission_classes = (IsWorker,)
    parser_classes = (RawParser,)


def chunks(request: Request) -> Iterator[bytes]:
    stream = request._request  # DRF's stream would parse the body; Django's reads it unparsed
    while chunk := stream.read(CHUNK):
        yield chunk


def read_message(request: Request, model: type[Model]) -> Model:
    """Read and validate the body. Raises Problem, Invalid."""
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
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Problem("The body is not JSON.") from error
        detail = f"The body is not a valid {model.__name__} of the protocol."
        raise Invalid(detail, errors=problems_of(error)) from error


def report_response(report_status: reports.ReportStatus) -> Response:
    """Return the response to a report. Raises Conflict."""
    if report_status is reports.ReportStatus.REFUSED:
        raise Conflict("This attempt is not the operation's current one; nothing was changed.")
    return Response({"status": report_status})


def worker_or_none(request: Request) -> str | None:
    caller: object = request.user
    return caller.worker.worker_id if isinstance(caller, Incarnation) else None


def attempt_secret(request: Request) -> str:
    return request.headers.get(ATTEMPT_HEADER, "")


def worker_of(request: Request) -> str:
    worker_id = worker_or_none(request)
    assert worker_id is not None, "the permission admits only workers"
    return worker_id


@accept_bodies(MAX_MESSAGE)
class Reports(APIView):
    authentication_classes = (SignatureAuthentication,)
    permission_classes = (HasSignature,)
    parser_classes = (RawParser,)

    @extend_schema(
        auth=[{SCHEME: []}],  # type: ignore[list-item]  # annotated as text; the library passes requirements on
        request=Report,
        responses={200: {"type": "object"}},
    )
    def post(self, request: Request, operation_id: str) -> Response:
        """Report the end of an attempt. A repetition gets 200 again, a superseded attempt 409."""
        sender: object = request.user
        assert isinstance(sender, SignedWorker), "the permission admits only workers"
        try:
            report = read_message(request, Report)
        except APIException:
            require_registered(sender)
            raise
        with _errors_as_problems():
            if plain_completions.complete(operation_id, sender.worker_id, sender.instance_id, report):
                return report_response(reports.ReportStatus.APPLIED)
            require_registered(sender)
            return report_response(reports.apply(operation_id, sender.worker_id, report))


@accept_bodies(MAX_MESSAGE)
class Checkpoints(WorkerView):
    @extend_schema(request=CheckpointReport, responses={200: {"type": "object"}})
    def post(self, request: Request, operation_id: str) -> Response:
        report = read_message(request, CheckpointReport)
        with _errors_as_problems():
            return report_response(reports.add_checkpoint(operation_id, worker_of(request), report))


class Secrets(WorkerView):
    @extend_schema(request=SecretsRequest, responses=SecretsAnswer)
    def post(self, request: Request, operation_id: str) -> Response:
        """Return the stored secrets for the job of the caller's current attempt; 422 if one is not granted to its type."""
        message = read_message(request, SecretsRequest)
        caller: object = request.user
        assert isinstance(caller, Incarnation), "the permission admits only workers"
        try:
            secrets = job_secrets.hand_out(operation_id, caller.worker, message)
        except job_secrets.NotCurrent as error:
            raise Conflict(str(error)) from error
        except job_secrets.Withheld as error:
            raise Invalid(str(error)) from error
        return Response({"secrets": secrets}, headers={"Cache-Control": "no-store"})


@contextmanager
def _errors_as_problems() -> Iterator[None]:
    """Turn the errors of `reports` into problems of the API."""
    try:
        yield
    except Operation.DoesNotExist as error:
        raise NotFound("Unknown operation.") from error
    except reports.MissingFiles as error:
        missing = [{"pointer": "/artifacts", "detail": f"{name} is not stored"} for name in error.names]
        raise Invalid(f"Upload the referenced files first: {error}.", errors=missing) from error
    except DataError as error:
        raise Invalid(f"A value cannot be stored: {error}") from error


@accept_bodies(artifacts.MAX_SIZE)
class File(APIView):
    """A stored file: uploaded by workers with an active attempt; read by people, and by workers that need it."""

    authentication_classes = [WorkerAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES]  # type: ignore[list-item]  # the stubs type the setting as text
    permission_classes = (IsWorker | ByRole,)
    parser_classes = (RawParser,)

    @extend_schema(request={"application/octet-stream": bytes}, responses={201: {"type": "object"}})
    def put(self, request: Request, sha256: str) -> Response:
        worker_id = worker_or_none(request)
        if worker_id is None or not artifacts.writable_by_worker(worker_id, attempt_secret(request)):
            self.permission_denied(request, "Only a worker with an active attempt may upload files.")
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
    def get(self, request: Request, sha256: str) -> HttpResponseBase:
        _check_hash(sha256)
        worker_id = worker_or_none(request)
        if worker_id is not None and not artifacts.readable_by_worker(
            worker_id, sha256, attempt_secret(request)
        ):
            self.permission_denied(request, "The worker's current operation does not refer to this file.")
        if not StoredFile.objects.filter(pk=sha256).exists():
            raise NotFound("Unknown file.")
        return file_response(sha256, sha256)


def _check_hash(sha256: str) -> None:
    if not SHA256.fullmatch(sha256):
        raise NotFound("This is not a SHA-256.")
