"""A backend for tests of workers."""

import hashlib
from collections.abc import Iterable
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import BaseModel

from worker_agent.protocol import (
    PROTOCOL_VERSION,
    ArtifactRef,
    CheckpointRef,
    CheckpointReport,
    Deregistration,
    Registration,
    RegistrationAnswer,
    Report,
    RunningOperation,
    SecretsAnswer,
    SecretsRequest,
    StartRequest,
)
from worker_agent.testing.fake_server import WAIT_S, FakeServer, message_response


class FakeBackend(FakeServer):
    """The backend as a worker sees it. Routes: register, deregister, report, checkpoint, job_secrets, put_file, get_file."""

    def __init__(
        self, enrolment_token: str, health_interval_s: float = 10.0, cancel_grace_s: float = 1.0
    ) -> None:
        super().__init__()
        self.enrolment_token = enrolment_token
        self.health_interval_s = health_interval_s
        self.cancel_grace_s = cancel_grace_s
        self.registrations: list[Registration] = []
        self.deregistrations: list[Deregistration] = []
        self.reports: list[tuple[str, Report]] = []
        self.checkpoints: list[tuple[str, CheckpointReport]] = []
        self.files: dict[str, bytes] = {}
        """SHA-256 -> content of the files that workers uploaded and may download."""
        self.secret_requests: list[SecretsRequest] = []
        self.secrets: dict[str, str] = {}
        """Name -> value of the secrets that jobs may have."""
        self.stop_at_registration: tuple[RunningOperation, ...] = ()
        self.warning = ""
        self.tokens: set[str] = set()
        """The valid worker tokens. Clear it, and every worker has to register again."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return (
            self.route("POST", "/workers/register", self.register),
            self.route("POST", "/workers/deregister", self.deregister),
            self.route("POST", "/operations/{operation_id}/report", self.report),
            self.route("POST", "/operations/{operation_id}/checkpoints", self.checkpoint),
            self.route("POST", "/operations/{operation_id}/secrets", self.job_secrets),
            self.route("PUT", "/artifacts/{sha256}", self.put_file),
            self.route("GET", "/artifacts/{sha256}", self.get_file),
        )

    def keep(self, name: str, content: bytes) -> ArtifactRef:
        """Store a file that a start request may use as an input."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return ArtifactRef(name=name, sha256=sha256, size=len(content))

    def reports_of(self, operation_id: str) -> list[Report]:
        return [report for reported_id, report in self.reports if reported_id == operation_id]

    async def report_of(self, operation_id: str, timeout_s: float = WAIT_S) -> Report:
        await self.until(lambda: bool(self.reports_of(operation_id)), timeout_s)
        return self.reports_of(operation_id)[-1]

    async def worker(self, worker_id: str, times: int = 1, timeout_s: float = WAIT_S) -> Registration:
        """Wait until the worker has registered so often; return its newest registration."""

        def registrations() -> list[Registration]:
            return [message for message in self.registrations if message.worker_id == worker_id]

        await self.until(lambda: len(registrations()) >= times, timeout_s)
        return registrations()[-1]

    async def ask(
        self, worker: Registration, method: str, path: str, body: BaseModel | None = None
    ) -> tuple[int, Any]:
        """Send a request to the worker with its backend token; return the status and the JSON body."""
        headers = {
            "Authorization": f"Bearer backend-{worker.instance_id}",
            "Content-Type": "application/json",
        }
        data = None if body is None else body.model_dump_json().encode()
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                worker.endpoint_url + path,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=WAIT_S),
            ) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def start(
        self,
        worker: Registration,
        operation_id: str,
        parameters: dict[str, Any] | None = None,
        *,
        attempt: int = 1,
        inputs: tuple[ArtifactRef, ...] = (),
        resume_from: CheckpointRef | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
        kind: int = 0,
        attempt_secret: str = "",
    ) -> tuple[int, Any]:
        """Send a start request for the worker's operation type number `kind`."""
        request = StartRequest(
            task_id=operation_id,
            attempt=attempt,
            attempt_secret=attempt_secret,
            parameters=parameters or {},
            inputs=inputs,
            resume_from=resume_from,
            request_id=request_id,
            traceparent=traceparent,
        )
        return await self.ask(worker, "POST", worker.operation_types[kind].start_path, request)

    async def register(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.enrolment_token}":
            return web.json_response({"detail": "The enrolment token is wrong."}, status=401)
        registration = Registration.model_validate_json(await request.read())
        self.registrations.append(registration)
        token = f"worker-{registration.instance_id}"
        self.tokens.add(token)
        self.reports += [
            (finished.operation_id, finished.report) for finished in registration.completed_operations
        ]
        answer = RegistrationAnswer(
            worker_id=registration.worker_id,
            status="AVAILABLE",
            protocol_version=PROTOCOL_VERSION,
            worker_token=token,
            backend_token=f"backend-{registration.instance_id}",
            proof_key=f"proof-{registration.instance_id}",
            health_interval_s=self.health_interval_s,
            cancel_grace_s=self.cancel_grace_s,
            stop_operations=self.stop_at_registration,
            warning=self.warning,
            acknowledged=tuple(finished.operation_id for finished in registration.completed_operations),
        )
        return message_response(answer)

    def _is_worker(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens

    async def deregister(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        self.deregistrations.append(Deregistration.model_validate_json(await request.read()))
        return web.Response(status=204)

    async def report(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        report = Report.model_validate_json(await request.read())
        missing = [artifact.name for artifact in report.artifacts if artifact.sha256 not in self.files]
        if missing:
            return web.json_response({"detail": f"Not uploaded: {missing}"}, status=422)
        self.reports.append((request.match_info["operation_id"], report))
        return web.json_response({})

    async def checkpoint(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        checkpoint = CheckpointReport.model_validate_json(await request.read())
        self.checkpoints.append((request.match_info["operation_id"], checkpoint))
        return web.json_response({})

    async def job_secrets(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        secrets_request = SecretsRequest.model_validate_json(await request.read())
        self.secret_requests.append(secrets_request)
        if missing := [name for name in secrets_request.names if name not in self.secrets]:
            return web.json_response({"detail": f"No secret {missing[0]} is granted."}, status=422)
        return message_response(
            SecretsAnswer(secrets={name: self.secrets[name] for name in secrets_request.names})
        )

    async def put_file(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        content = await request.read()
        if hashlib.sha256(content).hexdigest() != request.match_info["sha256"]:
            return web.Response(status=422)
        self.files[request.match_info["sha256"]] = content
        return web.Response(status=201)

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        if not self._is_worker(request):
            return web.Response(status=401)
        content = self.files.get(request.match_info["sha256"])
        return web.Response(status=404) if content is None else web.Response(body=content)
