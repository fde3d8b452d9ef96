"""The registry's API: workers register and deregister; people list, cordon and remove them."""

import threading
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.outbound import BadAddress
from access.problems import (
    PAGE_SIZE_SCHEMA,
    Busy,
    Conflict,
    CursorPagination,
    Invalid,
    body,
    invalid,
    validate,
)
from access.roles import Role
from registry import enrolment, kept_reports, name_claims, pools, registration, worker_actions
from registry.api.examples import REGISTERED, REGISTRATION
from registry.api.metrics import ScrapeTargets, WorkerMetrics
from registry.api.serializers import CordonSerializer, WorkerSerializer, serialize_workers
from registry.auth import (
    Enrolment,
    EnrolmentAuthentication,
    Incarnation,
    IsWorker,
    MayEnrol,
    WorkerAuthentication,
)
from registry.models import Worker, WorkerStatus
from registry.parameter_schemas import UnsafeSchema
from worker_agent.protocol import Deregistration, Registration, RegistrationAnswer

CONCURRENT_REGISTRATIONS = threading.BoundedSemaphore(4)
"""Registrations that one web process handles at a time: a thousand agents that come back in the same second must
not occupy every thread. The others get a Retry-After and spread out."""


class Register(APIView):
    authentication_classes = (EnrolmentAuthentication,)
    permission_classes = (MayEnrol,)

    @extend_schema(
        request=Registration,
        responses=RegistrationAnswer,
        examples=[
            OpenApiExample("A worker with a GPU", value=REGISTRATION, request_only=True),
            OpenApiExample("Registered", value=REGISTERED, response_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Register a worker. Idempotent."""
        message, unreadable = kept_reports.parse(body(request))
        caller: object = request.user
        assert isinstance(caller, Enrolment), "the permission admits only enrolment tokens"
        if not CONCURRENT_REGISTRATIONS.acquire(blocking=False):
            raise Busy("Too many workers are registering at the moment.", retry_after_s=1)
        try:
            answer = registration.register(message, caller.token, unreadable)
        except BadAddress as error:
            raise invalid("/endpoint_url", str(error)) from error
        except UnsafeSchema as error:
            raise invalid("/operation_types", str(error)) from error
        except (
            enrolment.WrongPool,
            enrolment.Revoked,
            name_claims.ForeignName,
            pools.ForeignType,
        ) as error:
            raise PermissionDenied(str(error)) from error
        except name_claims.WorkerIdTaken as error:
            raise Conflict(str(error)) from error
        finally:
            CONCURRENT_REGISTRATIONS.release()
        return Response(answer.model_dump(mode="json"))


class Deregister(APIView):
    authentication_classes = (WorkerAuthentication,)
    permission_classes = (IsWorker,)

    @extend_schema(request=Deregistration, responses={200: {"type": "object"}})
    def post(self, request: Request) -> Response:
        """Deregister the calling worker. 409 for another worker or incarnation."""
        message = validate(Deregistration, body(request))
        caller: object = request.user
        assert isinstance(caller, Incarnation), "the permission admits only workers"
        if (message.worker_id, message.instance_id) != (caller.worker.worker_id, caller.instance_id):
            raise Conflict("A worker can deregister only itself.")
        registration.deregister(message.worker_id, message.instance_id)
        return Response({"status": "deregistered"})


def get_worker_or_404(worker_id: str) -> Worker:
    worker = None
    if "\x00" not in worker_id:
        worker = Worker.objects.prefetch_related("announced").filter(pk=worker_id).first()
    if worker is None:
        raise NotFound("Unknown worker.")
    return worker


class ByName(CursorPagination):
    ordering = "worker_id"


FILTERS = [
    OpenApiParameter("worker_type", str),
    OpenApiParameter("operation_type", str, description="workers that have announced this type"),
    OpenApiParameter("status", str, enum=WorkerStatus.values),
    OpenApiParameter("gpu", bool),
    OpenApiParameter("limit", PAGE_SIZE_SCHEMA),
    OpenApiParameter("cursor", str),
]


PAGE = inline_serializer(
    "WorkerPage",
    {
        "results": WorkerSerializer(many=True),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
    },
)


class Workers(APIView):
    @extend_schema(operation_id="workers_list", parameters=FILTERS, responses=PAGE)
    def get(self, request: Request) -> Response:
        pages = ByName()
        page = pages.paginate_queryset(
            self._filter(request).prefetch_related("announced"), request, view=self
        )
        return pages.get_paginated_response(serialize_workers(page or []))

    def _filter(self, request: Request) -> QuerySet[Worker]:
        workers = Worker.objects.all()
        if kind := request.query_params.get("worker_type"):
            workers = workers.filter(worker_type=kind.replace("\x00", ""))
        if operation_type := request.query_params.get("operation_type"):
            workers = workers.filter(announced__operation_type=operation_type.replace("\x00", ""))
        if status := request.query_params.get("status"):
            if status not in WorkerStatus.values:
                raise invalid("/status", f"status must be one of {', '.join(WorkerStatus.values)}.")
            workers = workers.filter(status=status)
        if gpu := request.query_params.get("gpu"):
            if gpu not in ("true", "false"):
                raise invalid("/gpu", "gpu must be true or false.")
            with_gpu = workers.filter(capabilities__contains={"gpu": True})
            workers = with_gpu if gpu == "true" else workers.exclude(capabilities__contains={"gpu": True})
        return workers


class WorkerDetail(APIView):
    roles: ClassVar = {"DELETE": Role.STAFF}

    @extend_schema(responses=WorkerSerializer)
    def get(self, request: Request, worker_id: str) -> Response:
        return Response(serialize_workers([get_worker_or_404(worker_id)])[0])

    @extend_schema(responses={204: None})
    def delete(self, request: Request, worker_id: str) -> Response:
        """Remove the worker from the registry. 409 while it has an active operation."""
        worker = get_worker_or_404(worker_id)
        try:
            worker_actions.remove(worker.worker_id, Actor.from_request(request))
        except worker_actions.HasOperation as error:
            raise Conflict(str(error)) from error
        except Worker.DoesNotExist as error:
            raise NotFound("Unknown worker.") from error
        return Response(status=HTTPStatus.NO_CONTENT)


class Cordon(APIView):
    roles: ClassVar = {"POST": Role.STAFF}

    @extend_schema(request=CordonSerializer, responses=WorkerSerializer)
    def post(self, request: Request, worker_id: str) -> Response:
        """Assign no new work to the worker; with `drain` it also shuts down when idle."""
        form = CordonSerializer(data=request.data)
        if not form.is_valid():
            raise Invalid(
                "The request is not valid.",
                errors=[
                    {"pointer": f"/{name}", "detail": str(messages[0])}
                    for name, messages in form.errors.items()
                ],
            )
        worker = get_worker_or_404(worker_id)
        data: dict[str, Any] = form.validated_data
        worker_actions.cordon(
            worker.worker_id, Actor.from_request(request), data["reason"], drain=data["drain"]
        )
        return Response(serialize_workers([get_worker_or_404(worker_id)])[0])


class Uncordon(APIView):
    roles: ClassVar = {"POST": Role.STAFF}

    @extend_schema(request=None, responses=WorkerSerializer)
    def post(self, request: Request, worker_id: str) -> Response:
        worker_actions.uncordon(get_worker_or_404(worker_id).worker_id, Actor.from_request(request))
        return Response(serialize_workers([get_worker_or_404(worker_id)])[0])


urlpatterns = [
    path("workers", Workers.as_view(), name="workers"),
    path("workers/register", Register.as_view(), name="register-worker"),
    path("workers/deregister", Deregister.as_view(), name="deregister-worker"),
    path("metrics/workers", ScrapeTargets.as_view(), name="scrape-targets"),
    path("workers/<str:worker_id>/metrics", WorkerMetrics.as_view(), name="worker-metrics"),
    path("workers/<str:worker_id>", WorkerDetail.as_view(), name="worker"),
    path("workers/<str:worker_id>/cordon", Cordon.as_view(), name="cordon-worker"),
    path("workers/<str:worker_id>/uncordon", Uncordon.as_view(), name="uncordon-worker"),
]
