"""The demo: real prices are imported, a model is trained on three stocks and backtested on a fourth that it never saw.

It is a client of the API like any other: what it does, a user's script can do.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ktrdr_site.sample_data import write_sample_files

STRATEGY = "examples/strategies/neuro_fuzzy_daily.yaml"
TRAINED_ON = ["AAPL", "IBM", "MSFT"]
TRAINED_UNTIL = "2009-12-31"
TESTED_ON = "GOOG"
TESTED_FROM, TESTED_UNTIL = "2010-01-01", "2013-12-31"
TIMEFRAME = "1d"
POLL_S = 0.25
IMPORT_TIMEOUT_S = 120
RUN_TIMEOUT_S = 600
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}

Json = dict[str, Any]


class DemoError(Exception):
    """Why the demo did not come to its end, in one sentence for people."""


@dataclass(slots=True)
class Demo:
    http: httpx.Client
    say: Callable[[str], None]
    strategy: str
    """The text of the strategy file."""

    def run(self) -> Json:
        """The finished backtest. Raises DemoError."""
        self._import_sample_data()
        training = self._submit(
            "/training/start",
            {
                "strategy_yaml": self.strategy,
                "symbols": TRAINED_ON,
                "timeframes": [TIMEFRAME],
                "end_date": TRAINED_UNTIL,
            },
        )
        backtest = self._submit(
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
        self.say(f"training on {', '.join(TRAINED_ON)} until {TRAINED_UNTIL}")
        trained = self._follow("training", training, RUN_TIMEOUT_S)
        self.say(training_in_words(trained["result"]))
        self.say(f"backtesting that model on {TESTED_ON}, which it has not seen, from {TESTED_FROM}")
        return self._follow("backtest", backtest, RUN_TIMEOUT_S)

    def _import_sample_data(self) -> None:
        have = {(row["symbol"], row["timeframe"]) for row in self._get("/market-data")["results"]}
        with tempfile.TemporaryDirectory() as directory:
            files = write_sample_files(Path(directory))
            missing = {symbol: path for symbol, path in files.items() if (symbol, TIMEFRAME) not in have}
            if not missing:
                self.say("the sample data is already here")
                return
            self.say(f"importing daily prices of {', '.join(missing)}")
            operations = {symbol: self._upload(symbol, path) for symbol, path in missing.items()}
        for symbol, operation in operations.items():
            self._follow(f"import of {symbol}", operation, IMPORT_TIMEOUT_S)
        for row in self._get("/market-data")["results"]:
            if row["symbol"] in operations:
                self.say(f"{row['symbol']}: {row['rows']:,} bars, {row['start'][:10]} to {row['end'][:10]}")

    def _upload(self, symbol: str, path: Path) -> str:
        with path.open("rb") as file:
            answer = self._checked(
                self.http.post(
                    "/market-data",
                    data={"symbol": symbol, "timeframe": TIMEFRAME, "adjust": "true"},
                    files={"file": (path.name, file, "text/csv")},
                )
            )
        return str(answer["operation_id"])

    def _submit(self, path: str, body: Json) -> str:
        return str(self._checked(self.http.post(path, json=body))["operation_id"])

    def _follow(self, what: str, operation_id: str, timeout_s: float) -> Json:
        """The operation when it is COMPLETED; says each new step on the way."""
        give_up = time.monotonic() + timeout_s
        said = ""
        while True:
            operation = self._get(f"/operations/{operation_id}")
            status = operation["status"]
            if status == "COMPLETED":
                return operation
            if status in FINAL:
                raise DemoError(f"the {what} ended {status}: {reason(operation)}")
            if time.monotonic() > give_up:
                raise DemoError(f"the {what} is still {status} after {timeout_s:g} s: {reason(operation)}")
            now = progress_in_words(operation)
            if now and now != said:
                self.say(f"{what}: {now}")
                said = now
            time.sleep(POLL_S)

    def _get(self, path: str) -> Json:
        return self._checked(self.http.get(path))

    def _checked(self, answer: httpx.Response) -> Json:
        if answer.is_error:
            raise DemoError(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
            )
        body: Json = answer.json()
        return body


def reason(operation: Json) -> str:
    error = operation.get("error") or {}
    return str(error.get("message") or operation.get("waiting_reason") or "no reason was given")


def progress_in_words(operation: Json) -> str:
    """In steps of ten percent, so that a log stays readable."""
    if operation["status"] == "PENDING":
        return str(operation.get("waiting_reason") or "")
    progress = operation.get("progress") or {}
    tens = int((progress.get("percentage") or 0) // 10 * 10)
    return f"{tens:3d} %" if tens else ""


def training_in_words(result: Json) -> str:
    rows = result["rows"]
    model = result["model"]
    return (
        f"trained {model['parameters_count']:,} parameters on {rows['train']:,} rows in {result['seconds']:.1f} s; "
        f"the best of {result['epochs']} epochs was {result['best_epoch']}"
    )
