# Generated from ../aio/operations.py by tools/blocking_client.py: change that file, not this one.
"""Operations of any type: submit, find, follow, and read what they produced."""

import json
import time
from collections.abc import Iterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from ktrdr_client import frames
from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.problems import OperationFailed, WaitTimeout
from ktrdr_client.progress import FINAL, display, state_of_operation

if TYPE_CHECKING:
    import pandas as pd

LONG_POLL_S = 30
POLL_S = 1.0
SHORTEST_PAUSE_S = 0.2
MAX_IDS = 200
FOLLOWED = "operation_id,operation_type,status,waiting_reason,progress"


class Operation:
    """One operation; `data` is its state when it was last read."""

    def __init__(self, session: Session, data: Json) -> None:
        self._session = session
        self.data = data

    def __repr__(self) -> str:
        return f"<{self.data.get('operation_type', 'operation')} {self.id} {self.status}>"

    @property
    def id(self) -> str:
        return str(self.data["operation_id"])

    @property
    def status(self) -> str:
        return str(self.data["status"])

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def result(self) -> Json:
        """The result of the worker; empty until the operation has completed. Raises ClientError for one of `find`, before `refresh`."""
        return frames.result_of(self.data)

    def result_values(self) -> list[tuple[str, str]]:
        """Return title and text of the values of the result, as the pages show them; of a run those of its metrics."""
        rows = self._session.get("/operations", {"ids": self.id, "fields": "result_values"})
        return [(value["title"], value["text"]) for row in rows["results"] for value in row["result_values"]]

    @property
    def metrics(self) -> Json:
        """The metrics of a training or backtest, with dotted names where they are nested."""
        return frames.flatten(self.result.get("metrics") or {})

    def refresh(self) -> Self:
        self.data = self._session.get(self._path())
        return self

    def wait(
        self, timeout_s: float | None = None, *, progress: bool = False, check: bool = True
    ) -> Self:
        """Return when the operation has ended. Raises OperationFailed unless it completed or `check` is false, WaitTimeout."""
        wait_for(self._session, [self], timeout_s, progress=progress, check=check)
        return self

    def cancel(self, reason: str = "") -> Self:
        self.data = self._session.act("DELETE", self._path("cancel"), params={"reason": reason or None})
        return self

    def retry(self) -> Self:
        """Run a FAILED or CANCELLED operation again from the start."""
        self.data = self._session.act("POST", self._path("retry"))
        return self

    def resume(self) -> Self:
        """Run a FAILED or CANCELLED operation again from its newest checkpoint."""
        self.data = self._session.act("POST", self._path("resume"))
        return self

    def label(self, **labels: Any) -> Self:
        """Change `title`, `note`, `tags`, `archived` or `dismissed`."""
        self.data = self._session.act("PATCH", self._path(), labels)
        return self

    def artifacts(self) -> list[Json]:
        """Return name, role, SHA-256, size and URL of each file."""
        return list((self._session.get(self._path("artifacts")))["results"])

    def artifact(self, name: str) -> bytes:
        return self._session.content(f"{self._path('artifacts')}/{part(name)}")

    def table(self, name: str) -> "pd.DataFrame":
        """Return a Parquet, CSV or JSON file as a table. Raises ValueError for others."""
        return frames.table(name, self.artifact(name))

    def report(self) -> Json:
        """Return `report.json`, with everything that the page of a training or backtest shows."""
        return dict(json.loads(self.artifact("report.json")))

    def equity(self) -> "pd.DataFrame":
        """Return the equity of a backtest, indexed by time."""
        return (self.table("equity.parquet")).set_index("time")

    def trades(self) -> "pd.DataFrame":
        """Return the trades of a backtest."""
        return self.table("trades.parquet")

    def points(self) -> "pd.DataFrame":
        """Return the metric points, such as losses by epoch: one column per metric, indexed by step."""
        return frames.points([row for row in self.newer("metrics")])

    def newer(self, stream: str, cursor: int = 0) -> Iterator[Json]:
        """Yield the rows of `metrics`, `logs` or `events` after the cursor; `seq` of the last row is the next cursor."""
        while True:
            page = self._session.get(self._path(stream), {"cursor": cursor})
            for row in page["results"]:
                yield row
            if not page["results"]:
                return
            cursor = page["next_cursor"]

    def _path(self, *parts: str) -> str:
        return "/".join(("/operations", part(self.id), *parts))


def wait_for(
    session: Session,
    operations: Sequence[Operation],
    timeout_s: float | None,
    *,
    progress: bool,
    check: bool,
) -> None:
    """Wait until all operations have ended, and read their final states. Raises OperationFailed, WaitTimeout."""
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    with display(progress) as shown:
        while waiting := [operation for operation in operations if not operation.is_final]:
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeout(f"{len(waiting)} operations have not ended after {timeout_s:g} s")
            if len(waiting) == 1 and not progress:
                _long_poll(session, waiting[0], left)
            else:
                _read_all(session, waiting)
                shown.show([state_of_operation(operation.data) for operation in operations])
                time.sleep(0 if all(operation.is_final for operation in operations) else POLL_S)
    for operation in operations:
        if not {"parameters", "result"} <= operation.data.keys():
            operation.refresh()
    if check:
        require_completed(operations)


def require_completed(operations: Sequence[Operation]) -> None:
    """Raise OperationFailed for the first one that ended otherwise."""
    for operation in operations:
        if operation.status != "COMPLETED":
            raise OperationFailed(operation.data)


def _long_poll(session: Session, operation: Operation, left: float | None) -> None:
    """Wait for the end of one operation in one request. The server may answer earlier if many wait."""
    seconds = LONG_POLL_S if left is None else max(0, min(LONG_POLL_S, int(left)))
    path = f"/operations/{part(operation.id)}"
    response = session.request("GET", path, retry=True, params={"wait": seconds})
    operation.data = response.json()
    if not operation.is_final:
        pause = float(response.headers.get("Retry-After", SHORTEST_PAUSE_S))
        time.sleep(pause if left is None else min(pause, left))


def _read_all(session: Session, operations: Sequence[Operation]) -> None:
    by_id = {operation.id: operation for operation in operations}
    ids = list(by_id)
    for first in range(0, len(ids), MAX_IDS):
        chosen = ids[first : first + MAX_IDS]
        query = {"ids": ",".join(chosen), "fields": FOLLOWED}
        for row in session.pages("/operations", query):
            by_id[row["operation_id"]].data = row


class Operations:
    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self, operation_type: str, parameters: Mapping[str, Any] | None = None, **queueing: Any
    ) -> Operation:
        """Submit an operation of any type that a worker has announced; `queueing` has `priority`, `after` and the like."""
        body = {"operation_type": operation_type, "parameters": dict(parameters or {}), **queueing}
        return Operation(self._session, self._session.create("/operations", json=body))

    def batch(self, bodies: Iterable[Mapping[str, Any]]) -> list[Operation]:
        """Submit up to 1,000 operations, all or none; `#N` in `after` and `model` refers to item N."""
        items = [dict(body) for body in bodies]
        created = self._session.create("/operations/batch", json={"operations": items})
        return [
            Operation(self._session, {**row, "operation_type": item["operation_type"]})
            for row, item in zip(created["results"], items, strict=True)
        ]

    def get(self, operation_id: str) -> Operation:
        return Operation(self._session, {"operation_id": operation_id, "status": ""}).refresh()

    def find(self, limit: int | None = 50, **filters: Any) -> list[Operation]:
        """Return operations, newest first; `filters` are those of `GET /operations`, such as `status` and `tag`.

        They have neither parameters nor results until `refresh`, unless `fields` names them.
        """
        rows = self._session.pages("/operations", filters, limit)
        return [Operation(self._session, row) for row in rows]

    def types(self) -> list[Json]:
        """Return the types that can be submitted, with JSON schemas, examples and numbers of workers."""
        return list((self._session.get("/operation-types"))["results"])

    def wait(
        self,
        operations: Sequence[Operation],
        timeout_s: float | None = None,
        *,
        progress: bool = False,
        check: bool = True,
    ) -> "pd.DataFrame":
        """Return the results as one table when all have ended. Raises OperationFailed unless `check` is false, WaitTimeout."""
        wait_for(self._session, operations, timeout_s, progress=progress, check=check)
        return frames.results(operations)
