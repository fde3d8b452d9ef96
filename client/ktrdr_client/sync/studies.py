# Generated from ../aio/studies.py by tools/blocking_client.py: change that file, not this one.
"""Studies: submit, follow, change their course, and read trials and report."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ktrdr_client import frames
from ktrdr_client.sync.operations import Operation
from ktrdr_client.sync.session import Session, Json, part
from ktrdr_client.files import read_text
from ktrdr_client.problems import StudyFailed, WaitTimeout
from ktrdr_client.progress import FINAL, display, state_of_study

if TYPE_CHECKING:
    import pandas as pd

POLL_S = 1.0
PAGE = 5_000


class Study:
    """One study; `data` is its state when it was last read."""

    def __init__(self, session: Session, data: Json) -> None:
        self._session = session
        self._report: Json | None = None
        self.data = data

    def __repr__(self) -> str:
        return f"<study {self.id} {self.status}>"

    @property
    def id(self) -> str:
        return str(self.data["study_id"])

    @property
    def status(self) -> str:
        return str(self.data["status"])

    @property
    def verdict(self) -> str | None:
        """`believed`, `open` or `luck`; None before the report."""
        verdict: str | None = self.data.get("verdict")
        return verdict

    @property
    def best(self) -> Json | None:
        """Number, value and parameters of the best trial."""
        best: Json | None = self.data.get("best")
        return best

    def refresh(self) -> Self:
        self.data = self._session.get(self._path())
        return self

    def follow(self, timeout_s: float | None = None) -> Self:
        """Wait and show the progress."""
        return self.wait(timeout_s, progress=True)

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> Self:
        """Return when the study has its report. Raises StudyFailed if it fails, is cancelled or pauses, WaitTimeout."""
        ends = None if timeout_s is None else time.monotonic() + timeout_s
        with display(progress) as shown:
            while True:
                self.refresh()
                shown.show([state_of_study(self.data)])
                if self.status in FINAL or self.status == "PAUSED":
                    break
                if ends is not None and time.monotonic() >= ends:
                    raise WaitTimeout(f"study {self.id} has not ended after {timeout_s:g} s")
                time.sleep(POLL_S)
        if self.status != "COMPLETED":
            raise StudyFailed(self.data)
        return self

    def trials(self) -> "pd.DataFrame":
        """Return one row per trial: state, value, parameters and scores, indexed by number."""
        rows: list[Json] = []
        offset: int | None = 0
        while offset is not None:
            query = {"order": "number", "limit": PAGE, "offset": offset}
            page = self._session.get(self._path("trials"), query)
            rows += page["results"]
            offset = page["next_offset"]
        return frames.trials(rows)

    def report(self) -> Json:
        """Return the report: verdict, reasons, `figures` such as `pbo` and `dsr`, and everything that its charts show."""
        if self._report is None:
            self._report = dict(self._session.get(self._path("report")))
        return self._report

    def growth(self, best: int = 20) -> "pd.DataFrame":
        """Return the growth of 1 of the best trials, one column per number; at most 20 trials and 500 days."""
        return frames.growth((self.report())["curves"][:best])

    def returns(self, best: int = 20) -> "pd.DataFrame":
        """Return the returns between the points of `growth`: daily ones of a study of at most 500 days."""
        growth = self.growth(best)
        return growth.div(growth.shift(fill_value=1.0)) - 1.0

    def paths(self) -> "pd.DataFrame":
        """Return the growth of 1 over the paths of the cross-validation: 5 %, 50 % and 95 % quantiles by day."""
        return frames.fan((self.report())["paths"]["fan"])

    def windows(self) -> "pd.DataFrame":
        """Return one row per window of the walk-forward: its days, and the winner of its training part."""
        return frames.windows((self.report())["walk_forward"]["windows"])

    def promote(self, number: int | None = None) -> list[Operation]:
        """Run a trial, by default the best, as ordinary operations: a backtest, after its training if it has one."""
        body = {} if number is None else {"number": number}
        promoted = self._session.act("POST", self._path("promote"), body)
        return [Operation(self._session, dict(row)) for row in promoted["operations"]]

    def pause(self) -> Self:
        return self._act("pause")

    def resume(self) -> Self:
        return self._act("resume")

    def cancel(self) -> Self:
        return self._act("cancel")

    def extend(self, trials: int = 0, hours: float = 0.0) -> Self:
        """Add trials, and hours to the budget; a COMPLETED study runs again."""
        return self._act("extend", {"trials": trials, "hours": hours})

    def look_at_holdout(self) -> Self:
        """Write the report again with one more look at the sealed data. Staff only; every later report shows it."""
        return self._act("holdout")

    def _act(self, name: str, body: Json | None = None) -> Self:
        self.data = self._session.act("POST", self._path(name), body)
        self._report = None
        return self

    def _path(self, *parts: str) -> str:
        return "/".join(("/studies", part(self.id), *parts))


class Studies:
    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self,
        study: str | Path,
        strategy: str | Path,
        *,
        model: Operation | str | None = None,
        priority: int | None = None,
    ) -> Study:
        """Start a study; file and strategy are given as files or their texts."""
        created = self._session.create("/studies", json=_body(study, strategy, model, priority))
        return Study(self._session, created)

    def plan(
        self, study: str | Path, strategy: str | Path, *, model: Operation | str | None = None
    ) -> Json:
        """Return trials, runs, hours and the ratio that luck would reach. Nothing is stored."""
        return self._session.act("POST", "/studies/validate", _body(study, strategy, model, None))

    def get(self, study_id: str) -> Study:
        return Study(self._session, {"study_id": study_id, "status": ""}).refresh()

    def find(self, limit: int | None = 50, **filters: Any) -> list[Study]:
        """Return studies, newest first; `filters` are `status` and `search`."""
        rows = self._session.pages("/studies", filters, limit)
        return [Study(self._session, row) for row in rows]


def _body(
    study: str | Path, strategy: str | Path, model: Operation | str | None, priority: int | None
) -> Json:
    given = {
        "study_yaml": read_text(study),
        "strategy_yaml": read_text(strategy),
        "model": model.id if isinstance(model, Operation) else model,
        "priority": priority,
    }
    return {name: value for name, value in given.items() if value is not None}
