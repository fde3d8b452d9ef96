"""Trust between workers and the backend.

A worker enrols with the enrolment token. The answer has two tokens, both HMACs under the secret key over the
worker's name and incarnation: one by which it calls the backend, one by which it knows the backend. Nothing is
stored: a token is valid while the registry has that incarnation.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access import throttling as failures
from access.client_address import client_address
from registry import enrolment
from registry.models import EnrolmentToken, Worker

PREFIX = "ktw_"


def _mac(purpose: str, worker_id: str, instance_id: str) -> str:
    digest = salted_hmac(f"ktrdr.{purpose}", f"{worker_id}\n{instance_id}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def worker_token(worker_id: str, instance_id: str) -> str:
    """`ktw_` + base64(worker id, instance id) + `.` + MAC: the worker shows it to the backend."""
    who = base64.urlsafe_b64encode(f"{worker_id}\n{instance_id}".encode()).decode().rstrip("=")
    return f"{PREFIX}{who}.{_mac('worker', worker_id, instance_id)}"


def backend_token(worker_id: str, instance_id: str) -> str:
    """The backend shows it to this incarnation of this worker, and nobody else can."""
    return f"ktb_{_mac('backend', worker_id, instance_id)}"


@dataclass(frozen=True, slots=True)
class Incarnation:
    """A worker that has proved who it is; stands where DRF wants a user."""

    worker: Worker
    instance_id: str
    is_authenticated: bool = True
    is_active: bool = True

    @property
    def pk(self) -> str:
        return self.worker.worker_id


def verify_worker_token(token: str) -> tuple[str, str] | None:
    """(worker id, instance id) of a token that this backend made, else None."""
    who, separator, mac = token.removeprefix(PREFIX).partition(".")
    if not separator:
        return None
    try:
        text = base64.urlsafe_b64decode(who + "=" * (-len(who) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    worker_id, separator, instance_id = text.partition("\n")
    if not separator or not constant_time_compare(mac, _mac("worker", worker_id, instance_id)):
        return None
    return worker_id, instance_id


def _bearer(request: Request) -> str | None:
    scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class WorkerAuthentication(BaseAuthentication):
    """`Authorization: Bearer ktw_...` of the incarnation that the registry has now."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        token = _bearer(request)
        if token is None or not token.startswith(PREFIX):
            return None
        who = verify_worker_token(token)
        worker = Worker.objects.filter(worker_id=who[0], instance_id=who[1]).first() if who else None
        if who is None or worker is None:
            raise AuthenticationFailed("This worker token is not valid (any more): register again.")
        return Incarnation(worker, who[1]), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who shows an enrolment token: a worker-to-be."""

    token: EnrolmentToken | None
    """None: KTRDR_WORKER_TOKEN, or anybody where the network is trusted."""
    is_authenticated: bool = True
    is_active: bool = True
    pk: None = None


class EnrolmentAuthentication(BaseAuthentication):
    """`Authorization: Bearer` and a pool's token or KTRDR_WORKER_TOKEN; with KTRDR_TRUST_NETWORK any caller may enrol.

    KTRDR_WORKER_TOKEN is chosen by people and could be guessed, so it is not even looked at while the address is
    slowed down. A pool's token is 256 random bits and always passes.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if settings.TRUST_NETWORK:
            return Enrolment(None), None
        token = _bearer(request)
        if token is None:
            return None
        if token.startswith(enrolment.PREFIX) and (pool := enrolment.recognised(token)) is not None:
            return Enrolment(pool), None
        address = client_address(request._request) or ""
        if wait := failures.wait_s(failures.ENROLMENT_BY_ADDRESS, address):
            raise Throttled(wait, "Too many wrong enrolment tokens came from this address.")
        if not settings.WORKER_TOKEN or not constant_time_compare(token, settings.WORKER_TOKEN):
            failures.count(failures.ENROLMENT_BY_ADDRESS, address)
            raise AuthenticationFailed("This is not an enrolment token, or it was revoked.")
        return Enrolment(None), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsWorker(BasePermission):
    message = "Only a registered worker may do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Incarnation)


class MayEnrol(BasePermission):
    message = "Only with the enrolment token."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Enrolment)


class WorkerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # no types in the library
    """How the OpenAPI document names a worker's token."""

    target_class = WorkerAuthentication
    name = "workerToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The worker token of a registration."}


class EnrolmentScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # no types in the library
    """How the OpenAPI document names the enrolment token."""

    target_class = EnrolmentAuthentication
    name = "enrolmentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The enrolment token, KTRDR_WORKER_TOKEN."}
