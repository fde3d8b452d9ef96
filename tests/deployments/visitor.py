"""Use a running site as a person and a script do: over HTTP."""

import re
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ktrdr_site.demo.sample_data import write_sample_files
from ktrdr_site.demo.scenario import (
    STRATEGY,
    TESTED_FROM,
    TESTED_ON,
    TESTED_UNTIL,
    TIMEFRAME,
    TRAINED_ON,
    TRAINED_UNTIL,
)
from tests.deployments.command import PATIENCE_S, TrialFailed, require, wait_for
from tests.stack.system import ROOT

Json = dict[str, Any]
FINAL = {"COMPLETED", "FAILED", "CANCELLED"}
LONG = 10_000
"""Epochs of a training that a trial interrupts: it must not end before."""


@dataclass
class Visitor:
    url: str
    token: str
    trusted: ssl.SSLContext | bool = True
    """The CA of an https URL."""

    def call(self, method: str, path: str, **arguments: Any) -> Json:
        """Return the JSON of the response. Raises TrialFailed on an error of the site, httpx.HTTPError without a response."""
        response = httpx.request(
            method, f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"},
            timeout=120, trust_env=False, verify=self.trusted, **arguments,
        )  # fmt: skip
        require(response.is_success, f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return dict(response.json())

    def answers(self, path: str = "/readyz") -> bool:
        try:
            return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False, verify=self.trusted).is_success
        except httpx.HTTPError:
            return False

    def sign_in(self, user: str, password: str) -> None:
        """Sign in with the form, and fetch the style sheets of the first page."""
        with httpx.Client(
            base_url=self.url, follow_redirects=True, timeout=120, trust_env=False, verify=self.trusted
        ) as browser:
            form = browser.get("/dashboard/")
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
            require(token, f"no form at {form.url}")
            page = browser.post(
                str(form.url),
                data={
                    "csrfmiddlewaretoken": token[1] if token else "",
                    "username": user,
                    "password": password,
                    "next": "/dashboard/",
                },
                headers={"Referer": str(form.url)},
            )
            require(
                page.is_success and page.url.path == "/dashboard/",
                f"signed in, but got {page.url}: {page.status_code}",
            )
            sheets = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
            require(sheets, "the page has no style sheet")
            for sheet in sheets:
                require(browser.get(sheet).is_success, f"{sheet} is missing")

    def workers(self, status: str = "AVAILABLE") -> list[Json]:
        """Workers with the status; BUSY ones count as available."""
        wanted = {status, "BUSY"} if status == "AVAILABLE" else {status}
        return [worker for worker in self.call("GET", "/workers")["results"] if worker["status"] in wanted]

    def wait_for_workers(self, number: int, timeout_s: float = PATIENCE_S) -> list[Json]:
        wait_for(
            lambda: self.answers() and len(self.workers()) >= number,
            f"{number} workers are available",
            timeout_s,
        )
        return self.workers()

    def operation(self, operation_id: str) -> Json:
        return self.call("GET", f"/operations/{operation_id}")

    def cancel(self, operation_id: str) -> None:
        self.call("DELETE", f"/operations/{operation_id}/cancel", params={"reason": "end of the trial"})

    def follow(self, operation_id: str, timeout_s: float = 3 * PATIENCE_S) -> Json:
        """Return the completed operation; the site may be away for a while."""
        end = time.monotonic() + timeout_s
        operation: Json = {}
        while time.monotonic() < end:
            try:
                operation = self.operation(operation_id)
            except httpx.HTTPError:
                operation = {"status": "UNKNOWN"}
            if operation["status"] in FINAL:
                require(operation["status"] == "COMPLETED", f"{operation_id}: {operation}")
                return operation
            time.sleep(0.5)
        raise TrialFailed(f"{operation_id} has not ended after {timeout_s:.0f} s: {operation}")

    def import_sample_data(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            files = write_sample_files(Path(directory))
            imports = [
                self.call(
                    "POST", "/market-data",
                    data={"symbol": symbol, "timeframe": TIMEFRAME, "adjust": "true"},
                    files={"file": (path.name, path.read_bytes(), "text/csv")},
                )["operation_id"]
                for symbol, path in files.items()
            ]  # fmt: skip
        for operation_id in imports:
            self.follow(operation_id)

    def submit_training(self, epochs: int = 0) -> str:
        """With the strategy's own epochs and early stop, or with exactly this number of epochs."""
        strategy = (ROOT / STRATEGY).read_text()
        for key in ("epochs", "patience") if epochs else ():
            strategy, changes = re.subn(rf"\b{key}: *\d+", f"{key}: {epochs}", strategy)
            require(changes == 1, f"{STRATEGY} does not have one line with {key}")
        body = {
            "strategy_yaml": strategy,
            "symbols": TRAINED_ON,
            "timeframes": [TIMEFRAME],
            "end_date": TRAINED_UNTIL,
        }
        return str(self.call("POST", "/training/start", json=body)["operation_id"])

    def submit_backtest(self, training: str) -> str:
        body = {
            "model": training, "symbol": TESTED_ON, "timeframe": TIMEFRAME,
            "start_date": TESTED_FROM, "end_date": TESTED_UNTIL, "after": [training],
        }  # fmt: skip
        return str(self.call("POST", "/backtests/start", json=body)["operation_id"])

    def train_and_backtest(self) -> float:
        """Return the Sharpe ratio of the backtest."""
        training = self.submit_training()
        backtest = self.submit_backtest(training)
        self.follow(training)
        return float(self.follow(backtest)["result"]["metrics"]["sharpe"])

    def wait_until_running(self, operation_id: str, attempt: int = 1) -> Json:
        """Return the operation when this attempt, counted from 1, has made progress."""

        def running() -> Json | None:
            operation = self.operation(operation_id)
            require(operation["status"] not in FINAL, f"{operation_id} ended early: {operation}")
            return (
                operation
                if operation["status"] == "RUNNING"
                and operation["progress"]["percentage"]
                and len(operation["attempts"]) >= attempt
                else None
            )

        return wait_for(running, f"{operation_id} makes progress in attempt {attempt}")
