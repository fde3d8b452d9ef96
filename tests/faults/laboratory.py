"""Studies on the shared system: three workers that mark their trials, and `run_studies`; and how their marks are judged."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.faults.marks import Mark
from tests.faults.processes import ROOT, free_port
from tests.faults.system import System
from tests.waiting import until

WORKERS = ("study-1", "study-2", "study-3")
MODULE = "tests.faults.marking_study_worker"
STRATEGY = (ROOT / "examples/strategies/moving_average_cross.yaml").read_text()
TRIALS = 36
STUDY = f"""\
study: "1.0"
name: crosses
data: {{symbols: [WALK]}}
search:
  method: random
  trials: {TRIALS}
  seed: 3
  parameters:
    /indicators/fast/period: {{range: [2, 30]}}
    /indicators/slow/period: {{range: [31, 90]}}
budget: {{parallel: 3}}
"""
SYMBOLS = ("WALK", "LEARNED")
"""Trainings have bars of their own: the report of a study counts all trials on its bars."""
TRAINED_STRATEGY = """\
name: learns
version: "3.0"
training_data: {symbols: {mode: single, symbol: LEARNED}, timeframes: {mode: single, timeframe: 1d}}
indicators: {mom_5: {type: roc, period: 5}}
nn_inputs: [{raw_indicator: mom_5, timeframes: all, normalization: zscore}]
model: {type: mlp, architecture: {hidden_layers: [4]}}
decisions: {output_format: classification}
training:
  labels: {source: forward_return, horizon: 3, threshold: 0.002}
  batch_size: 64
  epochs: 6
  learning_rate: 0.05
"""
TRAINED_STUDY = """\
study: "1.0"
name: rates
data: {symbols: [LEARNED], until: 2002-09-01}
holdout: {from: 2002-04-01}
search:
  method: random
  trials: 4
  seed: 3
  parameters:
    /training/learning_rate: {range: [0.01, 0.1]}
validation: {scheme: walk_forward, train: 250, test: 150}
stop_early: {rungs: [3], keep: 0.5}
finalists: {count: 1}
budget: {parallel: 3}
"""
"""Trainings of six epochs; the better half goes on after a rung at the third, and the best one is trained for the holdout."""
BATCHES = ("study_batch", "study_training_batch")
OWN = ("study", "name")
"""Keys of a report that differ between two studies with the same spec."""


@dataclass(frozen=True)
class Laboratory:
    system: System

    def start(self, study_yaml: str = STUDY, strategy_yaml: str = STRATEGY) -> str:
        with self.system.api.http() as http:
            answer = http.post("/studies", json={"strategy_yaml": strategy_yaml, "study_yaml": study_yaml})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["study_id"])

    def study(self, study_id: str) -> dict[str, Any]:
        return dict(self.system.api.get(f"/studies/{study_id}") or {"status": "no answer", "trials": {}})

    def until_evaluated(self, study_id: str, least: int) -> list[Mark]:
        """Wait until that many trials were evaluated; return the marks of their evaluations."""

        def reached() -> list[Mark]:
            marks = self.marks(study_id, "evaluated")
            return marks if len(marks) >= least else []

        return until(reached, f"{least} trials are evaluated", 40, lambda: self.story(study_id))

    def until_job(self, study_id: str, least: int) -> tuple[psutil.Process, str]:
        """Wait until that many trials were evaluated; return a job in the middle of its batch, and its worker."""

        def running() -> tuple[psutil.Process, str] | None:
            evaluated = self.marks(study_id, "evaluated")
            if len(evaluated) < least:
                return None
            ended = {mark.pid for mark in self.marks(study_id, "end")}
            begun = {mark.pid for mark in evaluated}
            starts = [mark for mark in self.marks(study_id, "start") if mark.pid in begun - ended]
            alive = [mark for mark in starts if psutil.pid_exists(mark.pid)]
            return (psutil.Process(alive[-1].pid), alive[-1].rest[0]) if alive else None

        return until(running, "a job is in the middle of its batch", 40, lambda: self.story(study_id))

    def until_saved(self, study_id: str) -> tuple[psutil.Process, str]:
        """Wait until a job that was not resumed has saved a checkpoint and waits; return it and its worker."""

        def waiting() -> tuple[psutil.Process, str] | None:
            over = {mark.pid for word in ("resumed", "end") for mark in self.marks(study_id, word)}
            saved = {
                str(row[0]) for row in self.system.rows("SELECT operation_id FROM operations_checkpoint")
            }
            for mark in self.marks(study_id, "start"):
                if mark.pid not in over and mark.operation_id in saved and psutil.pid_exists(mark.pid):
                    return psutil.Process(mark.pid), mark.rest[0]
            return None

        return until(waiting, "a job has saved a checkpoint", 40, lambda: self.story(study_id))

    def until_completed(self, study_id: str) -> dict[str, Any]:
        """Wait until the study has ended; return its trials, and its report without its own name."""
        until(
            lambda: self.study(study_id)["status"] not in ("RUNNING", "REPORTING", "no answer"),
            "the study has ended",
            90,
            lambda: self.story(study_id),
        )
        study = self.study(study_id)
        assert study["status"] == "COMPLETED", self.story(study_id)
        trials = self.system.api.get(f"/studies/{study_id}/trials?order=number&limit=5000")["results"]
        report = self.system.api.get(f"/studies/{study_id}/report")
        for row in trials:
            del row["cpu_ms"]
        return {"trials": trials, "report": {name: report[name] for name in report if name not in OWN}}

    def operations(self, study_id: str) -> list[str]:
        rows = self.system.rows(
            f"SELECT o.operation_id FROM operations_operation o WHERE o.operation_type IN {BATCHES}"
            f" AND o.created_at >= (SELECT created_at FROM studies_study WHERE study_id = '{study_id}')"
        )
        return [str(row[0]) for row in rows]

    def marks(self, study_id: str, word: str) -> list[Mark]:
        own = set(self.operations(study_id))
        return [mark for mark in self.system.marks.all(word) if mark.operation_id in own]

    def judge(self, study_id: str, outcome: dict[str, Any], *, repeated: bool) -> None:
        """No trial is lost, none is evaluated twice in one attempt, and without `repeated` none twice at all."""
        started, evaluated = self.marks(study_id, "trial"), self.marks(study_id, "evaluated")
        completed = {row["number"] for row in outcome["trials"] if row["state"] == "completed"}
        assert [row["number"] for row in outcome["trials"]] == list(range(TRIALS)), "a trial is lost"
        assert completed <= {number_of(mark) for mark in evaluated}, "a result without an evaluation"
        within = Counter((mark.operation_id, mark.attempt, number_of(mark)) for mark in started)
        assert max(within.values()) == 1, "a trial was evaluated twice in one attempt"
        if not repeated:
            times = Counter(number_of(mark) for mark in started)
            assert max(times.values()) == 1, f"evaluated again without need: {times.most_common(3)}"
        overlaps = self.marks(study_id, "overlap")
        assert not overlaps, f"two jobs at once: {overlaps}"

    def story(self, study_id: str) -> str:
        return f"{self.study(study_id)}\n{self.system.logs()}"


def number_of(mark: Mark) -> int:
    return int(mark.rest[0])


@contextmanager
def laboratory(system: System) -> Iterator[Laboratory]:
    """The shared system with study workers instead of its own agents, which would only take processor time."""
    agents, backend = system.expected, system.backend
    system.expected = {name: {"module": MODULE, "port": free_port()} for name in WORKERS}
    system.backend = (*backend, "studies")
    try:
        system.heal()
        for seed, symbol in enumerate(SYMBOLS, 1):
            import_walk(system, symbol, seed)
        yield Laboratory(system)
    finally:
        system.expected, system.backend = agents, backend
        for name in (*WORKERS, "studies"):
            if system.processes.is_up(name):
                system.processes.kill(name)
        until(lambda: not any(remove(system, name) for name in WORKERS), "the study workers are removed")


def remove(system: System, name: str) -> bool:
    """Remove a worker that has left; return whether it is still known."""
    with system.api.http() as http:
        http.delete(f"/workers/{name}")
    return system.api.worker(name) is not None


def import_walk(system: System, symbol: str, seed: int) -> None:
    """Import 700 daily bars of a random walk."""
    generator = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(generator.normal(0.0003, 0.01, 700)))
    rows = ["Date,Open,High,Low,Close,Volume"]
    for number, close in enumerate(closes):
        day = date(2000, 1, 3) + timedelta(days=number + 2 * (number // 5))
        rows.append(f"{day},{close:.4f},{close * 1.01:.4f},{close * 0.99:.4f},{close:.4f},1000")
    path = Path(system.directory) / "walk.csv"
    path.write_text("\n".join(rows))
    with system.api.http() as http, path.open("rb") as file:
        answer = http.post("/market-data", data={"symbol": symbol, "timeframe": "1d"}, files={"file": file})
    assert answer.status_code == 202, answer.text
    system.api.until_status(answer.json()["operation_id"], "COMPLETED")
