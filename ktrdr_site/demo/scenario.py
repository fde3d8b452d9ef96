"""The demo: import real prices, train a model on three stocks, backtest it on a fourth that it has not seen, and search rules.

It is a client of the API like any other: a user's script can do the same.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from ktrdr_site.demo.sample_data import write_sample_files

STRATEGY = "examples/strategies/neuro_fuzzy_daily.yaml"
TRAINED_ON = ["AAPL", "IBM", "MSFT"]
TRAINED_UNTIL = "2009-12-31"
TESTED_ON = "GOOG"
TESTED_FROM, TESTED_UNTIL = "2010-01-01", "2013-12-31"
TIMEFRAME = "1d"
POLL_S = 0.25
STUDY = "examples/studies/moving_average_search.yaml"
STUDIED = "examples/strategies/moving_average_cross.yaml"
STUDIED_ON = "AAPL"
STEP_TIMEOUT_S = {"import": 120, "training": 600, "backtest": 600, "study": 600}
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}
STUDY_LIVE = {"RUNNING", "REPORTING"}
SUMMARY = (
    f"Demo: train a model on {', '.join(TRAINED_ON)} until {TRAINED_UNTIL}, "
    f"backtest it on {TESTED_ON} from {TESTED_FROM}, which it has not seen, and search two averages on {STUDIED_ON}"
)

Json = dict[str, Any]


class DemoError(Exception):
    """Why the demo did not finish, in one sentence for people."""

    def __init__(self, message: str, process: str = "") -> None:
        super().__init__(message)
        self.process = process
        """The web server or the worker whose log may explain it; empty where there is none."""


class Steps(Protocol):
    """Shows the steps of the demo."""

    def begin(self, name: str) -> None: ...

    def update(self, name: str, percentage: float | None, step: str) -> None:
        """Show progress; without a percentage the step is waiting."""

    def finish(self, name: str, state: str, details: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Texts:
    """The files that the demo submits."""

    strategy: str
    studied: str
    """The strategy of the study."""
    study: str


@dataclass(frozen=True, slots=True)
class Results:
    """The completed backtest and the completed study, as the API shows them."""

    backtest: Json
    study: Json


@dataclass(slots=True)
class Demo:
    http: httpx.AsyncClient
    steps: Steps
    texts: Texts

    async def start_imports(self) -> dict[str, str]:
        """Upload the sample data that is missing; return the import's operation id by symbol."""
        rows = (await self._get("/market-data"))["results"]
        present = {(row["symbol"], row["timeframe"]) for row in rows}
        with tempfile.TemporaryDirectory() as directory:
            files = await asyncio.to_thread(write_sample_files, Path(directory))
            return {
                symbol: await self._upload(symbol, path)
                for symbol, path in files.items()
                if (symbol, TIMEFRAME) not in present
            }

    async def run(self, imports: dict[str, str]) -> Results:
        """Follow the imports, then train, backtest and run the study. Raises DemoError."""
        if imports:
            await self._follow_imports(imports)
        training = await self._submit(
            "/training/start",
            {
                "strategy_yaml": self.texts.strategy,
                "symbols": TRAINED_ON,
                "timeframes": [TIMEFRAME],
                "end_date": TRAINED_UNTIL,
            },
        )
        backtest = await self._submit(
            "/backtests/start",
            {
                "model": training,
                "symbol": TESTED_ON,
                "timeframe": TIMEFRAME,
                "start_date": TESTED_FROM,
                "end_date": TESTED_UNTIL,
                "after": [training],
            },
        )
        self.steps.begin("training")
        trained = await self._follow("training", training)
        self.steps.finish("training", "done", describe_training(trained["result"]))
        self.steps.begin("backtest")
        tested = await self._follow("backtest", backtest)
        self.steps.finish("backtest", "done", describe_backtest(tested["result"]))
        return Results(tested, await self._run_study())

    async def _run_study(self) -> Json:
        """Run the study until it has its verdict. It ends in other statuses than an operation."""
        body = {"strategy_yaml": self.texts.studied, "study_yaml": self.texts.study}
        study_id = str(_body(await self.http.post("/studies", json=body))["study_id"])
        self.steps.begin("study")
        deadline = time.monotonic() + STEP_TIMEOUT_S["study"]
        while True:
            study = await self._get(f"/studies/{study_id}")
            if study["status"] == "COMPLETED":
                self.steps.finish("study", "done", describe_study(study))
                return study
            if study["status"] not in STUDY_LIVE or time.monotonic() > deadline:
                problem = study["waiting_reason"] or "no reason is known"
                raise DemoError(f"the study is {study['status']}: {problem}", "studies")
            self.steps.update("study", study["progress"]["percentage"], study["waiting_reason"])
            await asyncio.sleep(POLL_S)

    async def _follow_imports(self, imports: dict[str, str]) -> None:
        self.steps.begin("import")
        for number, (symbol, operation_id) in enumerate(imports.items()):
            await self._follow("import", operation_id, symbol, number / len(imports), 1 / len(imports))
        rows = (await self._get("/market-data"))["results"]
        bars = sum(row["rows"] for row in rows if row["symbol"] in imports)
        self.steps.finish("import", "done", f"{bars:,} daily bars of {', '.join(imports)}")

    async def _upload(self, symbol: str, path: Path) -> str:
        with path.open("rb") as file:
            response = await self.http.post(
                "/market-data",
                data={"symbol": symbol, "timeframe": TIMEFRAME, "adjust": "true"},
                files={"file": (path.name, file, "text/csv")},
            )
        return str(_body(response)["operation_id"])

    async def _submit(self, path: str, body: Json) -> str:
        return str(_body(await self.http.post(path, json=body))["operation_id"])

    async def _follow(
        self, step: str, operation_id: str, symbol: str = "", before: float = 0.0, share: float = 1.0
    ) -> Json:
        """Wait until the operation is COMPLETED. It is `share` of the step, of which the part `before` is done."""
        title = f"{step} of {symbol}" if symbol else step
        timeout_s = STEP_TIMEOUT_S[step]
        deadline = time.monotonic() + timeout_s
        while True:
            operation = await self._get(f"/operations/{operation_id}")
            status = operation["status"]
            if status == "COMPLETED":
                return operation
            worker = operation.get("worker_id") or ""
            if status in FINAL:
                raise DemoError(f"the {title} ended {status}: {reason(operation)}", worker)
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the {title} is still {status} after {timeout_s} s: {reason(operation)}", worker
                )
            percentage, doing = progress_of(operation)
            if percentage is not None or before:
                percentage = 100 * before + share * (percentage or 0.0)
            self.steps.update(step, percentage, f"{symbol} {doing}".strip())
            await asyncio.sleep(POLL_S)

    async def _get(self, path: str) -> Json:
        """Send the request again where its connection broke: a web process may have ended or been replaced."""
        try:
            response = await self.http.get(path)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            response = await self.http.get(path)
        return _body(response)


def _body(response: httpx.Response) -> Json:
    if response.is_error:
        request = response.request
        raise DemoError(
            f"{request.method} {request.url.path}: {response.status_code} {response.text[:500]}", "web"
        )
    body: Json = response.json()
    return body


def reason(operation: Json) -> str:
    error = operation.get("error") or {}
    return str(error.get("message") or operation.get("waiting_reason") or "no reason is known")


def progress_of(operation: Json) -> tuple[float | None, str]:
    """Return the percentage, None while it waits, and the current step or the reason for waiting."""
    if operation["status"] == "PENDING":
        return None, str(operation.get("waiting_reason") or "")
    progress = operation.get("progress") or {}
    return progress.get("percentage") or 0.0, str(progress.get("current_step") or "")


def describe_training(result: Json) -> str:
    rows, model = result["rows"], result["model"]
    return (
        f"{model['parameters_count']:,} parameters on {rows['train']:,} rows; "
        f"best epoch {result['best_epoch']} of {result['epochs']}"
    )


def describe_study(study: Json) -> str:
    return f"{study['trials']['completed']:,} trials; verdict: {study['verdict']}"


def describe_backtest(result: Json) -> str:
    metrics = result["metrics"]
    return f"{metrics['trades']} trades, {metrics['total_return'] * 100:+.1f} % after costs"
