"""The errors: one small family of exceptions. `ProblemError` shows the server's problem document (RFC 9457)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

MAX_TEXT = 500


class ClientError(Exception):
    """Base of all exceptions of this package."""


class NotReachable(ClientError):
    """The server did not respond, after all retries."""


class WaitTimeout(ClientError):
    """Waiting took longer than the caller allowed; the work continues."""


class OperationFailed(ClientError):
    """An operation that was waited for ended as FAILED or CANCELLED; `data` is its state."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        error = data.get("error") or {}
        reason = f": {error.get('class')}: {error.get('message')}" if error else ""
        super().__init__(f"{data['operation_type']} {data['operation_id']} is {data['status']}{reason}")
        self.data = data


class StudyFailed(ClientError):
    """A study that was waited for ended as FAILED or CANCELLED, or is PAUSED; `data` is its state."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        reason = f": {data['waiting_reason']}" if data.get("waiting_reason") else ""
        super().__init__(f"study {data['study_id']} is {data['status']}{reason}")
        self.data = data


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request."""

    pointer: str
    """JSON pointer into the body (RFC 6901)."""
    detail: str
    line: int | None = None
    """Of a strategy or study file."""
    column: int | None = None

    def __str__(self) -> str:
        place = f" line {self.line}, column {self.column}" if self.line is not None else ""
        return f"{self.pointer}{place}: {self.detail}"


class ProblemError(ClientError):
    """The server refused the request."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = dict(document)
        self.status = int(document.get("status", 0))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail", ""))
        self.request_id = str(document.get("request_id", ""))
        """Of the request, in every line of the server's log about it."""
        self.errors = [
            FieldError(
                str(error.get("pointer", "")),
                str(error.get("detail", "")),
                error.get("line"),
                error.get("column"),
            )
            for error in document.get("errors", ())
        ]
        super().__init__(self._text())

    @property
    def pointers(self) -> list[str]:
        return [error.pointer for error in self.errors]

    def _text(self) -> str:
        lines = [f"{self.status} {self.title}: {self.detail}", *(f"  {error}" for error in self.errors)]
        if self.request_id:
            lines.append(f"  request_id {self.request_id}")
        return "\n".join(lines)


def problem_of(response: httpx.Response, hidden: str = "") -> ProblemError:
    """Return the problem of a response that is not a success, without the text `hidden`.

    Proxies send other documents than the server, and may repeat the request.
    """
    text = _without(response.text, hidden)
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "status" not in document:
        detail = text[:MAX_TEXT]
        document = {"status": response.status_code, "title": response.reason_phrase, "detail": detail}
    return ProblemError(document)


def _without(text: str, hidden: str) -> str:
    """Replace `hidden` in a text or a JSON document, also as a literal of Python."""
    if hidden:
        for form in (repr(hidden)[1:-1], hidden):
            for shown in (json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], form):
                text = text.replace(shown, "[hidden]")
    return text
