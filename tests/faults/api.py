"""The product as a person uses it: over HTTP, with a token."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.authorities import authorities
from tests.waiting import until

FINAL = ("COMPLETED", "FAILED", "CANCELLED")


def outcomes(operation: dict[str, Any]) -> list[str]:
    """Of the attempts that a worker took.

    A worker whose registration has been stored, but not answered yet, rejects what it is sent in between.
    """
    return [one["outcome"] for one in operation["attempts"] if one["outcome"] != "rejected"]


@dataclass
class Api:
    url: str
    token: str = ""
    logs: Callable[[], str] = lambda: ""
    """What else explains a failure."""
    submitted: dict[str, str] = field(default_factory=dict)
    """Operation -> the status in which it is to end."""
    beside: set[str] = field(default_factory=set)
    """Operations of which a superseded attempt is known to run for a moment beside the new one."""
    clock_factor: int = 1
    """Of the product's waits: jobs last as much longer."""

    def http(self, timeout_s: float = 60) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, verify=authorities())

    def get(self, path: str) -> Any:
        """The answer's JSON, or None where there is no answer, or not that one."""
        try:
            with self.http() as http:
                answer = http.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def answers(self) -> bool:
        return self.get("/health") is not None

    def ready(self) -> bool:
        return self.get("/readyz") is not None

    def submit(self, *, ends: str = "COMPLETED", key: str = "", **body: Any) -> str:
        """`POST /operations` of the marking kind; names that are not fields of the request are parameters of the job."""
        body = {**body, "seconds": self.clock_factor * body["seconds"]}
        own = {
            name: body.pop(name) for name in ("requirements", "priority", "queue", "after") if name in body
        }
        headers = {"Idempotency-Key": key} if key else {}
        with self.http() as http:
            answer = http.post(
                "/operations", json={"operation_type": "marking", "parameters": body, **own}, headers=headers
            )
        assert answer.status_code == 202, answer.text
        operation_id = str(answer.json()["operation_id"])
        self.submitted[operation_id] = ends
        return operation_id

    def operation(self, operation_id: str) -> dict[str, Any]:
        return dict(self.get(f"/operations/{operation_id}") or {"status": "no answer"})

    def events(self, operation_id: str) -> list[dict[str, Any]]:
        """All of them, oldest first: a long job keeps more checkpoints than a page has events."""
        found: list[dict[str, Any]] = []
        cursor = 0
        while True:
            answer = self.get(f"/operations/{operation_id}/events?limit=200&cursor={cursor}")
            assert answer is not None, f"no events of {operation_id}"
            if not answer["results"]:
                return found
            found += answer["results"]
            cursor = answer["next_cursor"]

    def cancel(self, operation_id: str) -> int:
        """202, or 409 where it had ended; what is cancelled need not complete."""
        with self.http() as http:
            status = http.delete(f"/operations/{operation_id}/cancel").status_code
        if status == 202:
            self.submitted[operation_id] = "CANCELLED"
        return status

    def again(self, operation_id: str, how: str) -> int:
        with self.http() as http:
            status = http.post(f"/operations/{operation_id}/{how}").status_code
        if status == 202:
            self.submitted[operation_id] = "COMPLETED"
        return status

    def worker(self, name: str) -> dict[str, Any] | None:
        return self.get(f"/workers/{name}")

    def workers(self) -> dict[str, str]:
        """Worker id -> status."""
        found: dict[str, str] = {}
        path = "/workers?limit=200"
        while path:
            page = self.get(path)
            if page is None:
                return found
            found |= {one["worker_id"]: one["status"] for one in page["results"]}
            path = page["next"] or ""
        return found

    def until_status(self, operation_id: str, *statuses: str, timeout_s: float = 40.0) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            operation = self.operation(operation_id)
            return operation if operation["status"] in statuses else None

        what = f"{operation_id} is {' or '.join(statuses)}"
        return until(reached, what, timeout_s, lambda: self.story(operation_id))

    def until_running(self, operation_id: str) -> dict[str, Any]:
        return self.until_status(operation_id, "RUNNING")

    def story(self, operation_id: str) -> str:
        told = {
            "operation": self.operation(operation_id),
            "events": self.get(f"/operations/{operation_id}/events"),
        }
        return json.dumps(told, indent=1)[:7000] + self.logs()
