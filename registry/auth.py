"""Authentication between workers and the backend.

A worker enrols with an enrolment token. The response contains two tokens and a key, all HMACs under the secret key
over the worker's name and incarnation: the worker authenticates to the backend with one token, the backend to the
worker with the other, and the worker proves its responses with the key (`worker_agent.proof`). None of them is stored:
they are valid as long as the registry has that incarnation.
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

from access import throttling
from access.client_address import client_address
from access.prepared import columns_of, fetch_one, instance
from registry import enrolment
from registry.models import EnrolmentToken, Worker

PREFIX = "ktw_"
SCHEME = "workerToken"
"""In the OpenAPI document."""
INVALID = "Worker token is invalid or expired; register again."
_FIND = f"""
    SELECT {columns_of(Worker, "worker")} FROM registry_worker AS worker
    WHERE worker_id = %(worker_id)s AND instance_id = %(instance_id)s
"""  # noqa: S608  (constants)


def _mac(purpose: str, worker_id: str, instance_id: str) -> str:
    digest = salted_hmac(f"ktrdr.{purpose}", f"{worker_id}\n{instance_id}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def worker_token(worker_id: str, instance_id: str) -> str:
    """Return `ktw_` + base64(worker id, instance id) + `.` + MAC, with which the worker authenticates to the backend."""
    identity = base64.urlsafe_b64encode(f"{worker_id}\n{instance_id}".encode()).decode().rstrip("=")
    return f"{PREFIX}{identity}.{_mac('worker', worker_id, instance_id)}"


def backend_token(worker_id: str, instance_id: str) -> str:
    """Return the token with which only the backend can authenticate to this incarnation of the worker."""
    return f"ktb_{_mac('backend', worker_id, instance_id)}"


def proof_key(worker_id: str, instance_id: str) -> str:
    """Return the key of the proofs of this incarnation's responses. It is sent only in the response to a registration."""
    return _mac("proof", worker_id, instance_id)


@dataclass(frozen=True, slots=True)
class Incarnation:
    """An authenticated worker; takes the place of the user in DRF."""

    worker: Worker
    instance_id: str
    is_authenticated: bool = True
    is_active: bool = True

    @property
    def pk(self) -> str:
        return self.worker.worker_id


@dataclass(frozen=True, slots=True)
class SignedWorker:
    """An incarnation that once got the caller's token; the registry may have another one by now."""

    worker_id: str
    instance_id: str
    is_authenticated: bool = True
    is_active: bool = True

    @property
    def pk(self) -> str:
        return self.worker_id


def verify_worker_token(token: str) -> tuple[str, str] | None:
    """Return (worker id, instance id) of a token that this backend issued, else None."""
    identity, separator, mac = token.removeprefix(PREFIX).partition(".")
    if not separator:
        return None
    try:
        text = base64.urlsafe_b64decode(identity + "=" * (-len(identity) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    worker_id, separator, instance_id = text.partition("\n")
    if not separator or not constant_time_compare(mac, _mac("worker", worker_id, instance_id)):
        return None
    return worker_id, instance_id


def _find_incarnation(worker_id: str, instance_id: str) -> Worker | None:
    """Return the worker if this is its current process; looked up for each request, so that a removal counts at once."""
    row = fetch_one(_FIND, {"worker_id": worker_id, "instance_id": instance_id})
    return None if row is None else instance(Worker, row)


def require_registered(sender: SignedWorker) -> Incarnation:
    """Return the worker of a token if the registry still has that incarnation. Raises AuthenticationFailed."""
    worker = _find_incarnation(sender.worker_id, sender.instance_id)
    if worker is None:
        raise AuthenticationFailed(INVALID)
    return Incarnation(worker, worker.instance_id)


def _bearer(request: Request) -> str | None:
    scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class SignatureAuthentication(BaseAuthentication):
    """`Authorization: Bearer ktw_...` of any incarnation; the view asks the registry, or its statement does."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        token = _bearer(request)
        if token is None or not token.startswith(PREFIX):
            return None
        if (identity := verify_worker_token(token)) is None:
            raise AuthenticationFailed(INVALID)
        return SignedWorker(*identity), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class WorkerAuthentication(SignatureAuthentication):
    """The same of the worker's current incarnation."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        if (signed := super().authenticate(request)) is None:
            return None
        sender, token = signed
        return require_registered(sender), token


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A caller with an enrolment token, which may register as a worker."""

    token: EnrolmentToken | None
    """None for KTRDR_WORKER_TOKEN, or for any caller on a trusted network."""
    is_authenticated: bool = True
    is_active: bool = True
    pk: None = None


class EnrolmentAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with a pool's token or KTRDR_WORKER_TOKEN; with KTRDR_TRUST_NETWORK any caller may enrol.

    KTRDR_WORKER_TOKEN is chosen by people and could be guessed, so it is not checked while the address is throttled. A
    pool's token is 256 random bits and is never throttled.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if settings.TRUST_NETWORK:
            return Enrolment(None), None
        token = _bearer(request)
        if token is None:
            return None
        if token.startswith(enrolment.PREFIX) and (pool := enrolment.find_valid(token)) is not None:
            return Enrolment(pool), None
        address = client_address(request._request) or ""
        if wait := throttling.wait_s(throttling.ENROLMENT_BY_ADDRESS, address):
            raise Throttled(wait, "Too many invalid enrolment tokens from this address.")
        if not settings.WORKER_TOKEN or not constant_time_compare(token, settings.WORKER_TOKEN):
            throttling.record_failure(throttling.ENROLMENT_BY_ADDRESS, address)
            raise AuthenticationFailed("The enrolment token is invalid or was revoked.")
        return Enrolment(None), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsWorker(BasePermission):
    message = "Only registered workers may do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Incarnation)


class HasSignature(BasePermission):
    """For views with `SignatureAuthentication`."""

    message = IsWorker.message

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, SignedWorker)


class MayEnrol(BasePermission):
    message = "An enrolment token is required."

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Enrolment)


class WorkerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # no types in the library
    """Describes a worker's token in the OpenAPI document."""

    target_class = WorkerAuthentication
    name = SCHEME

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The worker token issued at registration."}


class EnrolmentScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # no types in the library
    """Describes the enrolment token in the OpenAPI document."""

    target_class = EnrolmentAuthentication
    name = "enrolmentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An enrolment token, or KTRDR_WORKER_TOKEN.",
        }
