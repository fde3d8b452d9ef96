"""Compare the runs that the jobs marked with the runs in the database."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.api import FINAL, Api


@dataclass(frozen=True, slots=True)
class Mark:
    word: str
    operation_id: str
    attempt: int
    pid: int
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    path: Path

    def all(self, word: str | None = None, operation_id: str | None = None) -> list[Mark]:
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            name, operation, attempt, pid, *rest = line.split()
            if word in (None, name) and operation_id in (None, operation):
                found.append(Mark(name, operation, int(attempt), int(pid), tuple(rest)))
        return found

    def count(self, word: str, operation_id: str) -> int:
        return len(self.all(word, operation_id))


@dataclass
class Verdict:
    """Of the operations of one test."""

    operations: int = 0
    attempts: int = 0
    lost: list[str] = field(default_factory=list)
    """Ended otherwise than they were to, or not at all, or COMPLETED without a job that reached its end."""
    doubled: list[str] = field(default_factory=list)
    """Two attempts ran at the same time, or work was done again after it had been counted."""
    superseded: int = 0
    """Of a frozen worker that thawed: its old attempt ran beside the new one until it was told to stop."""


def judge(api: Api, marks: Marks) -> Verdict:
    """Of everything submitted; each has to have ended before."""
    verdict = Verdict(operations=len(api.submitted))
    rows: dict[str, list[Mark]] = {operation_id: [] for operation_id in api.submitted}
    for mark in marks.all():
        if mark.operation_id in rows:
            rows[mark.operation_id].append(mark)
    for operation_id, ends in api.submitted.items():
        _judge_one(verdict, api, operation_id, ends, rows[operation_id])
    return verdict


def _judge_one(verdict: Verdict, api: Api, operation_id: str, ends: str, marks: list[Mark]) -> None:
    operation = api.operation(operation_id)
    verdict.attempts += len(operation.get("attempts", ()))
    completed = [one for one in operation.get("attempts", ()) if one["outcome"] == "completed"]
    finished = [event["to_status"] for event in api.events(operation_id) if event["to_status"] in FINAL]
    reached = Counter(mark.attempt for mark in marks if mark.word == "end")
    if operation["status"] != ends or not finished or finished[-1] != ends:
        verdict.lost.append(f"{operation_id} is {operation['status']}, not {ends}: {api.story(operation_id)}")
    elif ends == "COMPLETED" and [one["attempt"] for one in completed] != [operation["attempt"]]:
        verdict.lost.append(f"{operation_id}: not one completed attempt: {operation['attempts']}")
    elif ends == "COMPLETED" and reached[operation["attempt"]] != 1:
        verdict.lost.append(f"{operation_id}: COMPLETED, but its job did not end once: {marks}")
    overlaps = [mark for mark in marks if mark.word == "overlap"]
    if operation_id in api.beside:
        verdict.superseded += bool(overlaps)
    elif overlaps:
        verdict.doubled.append(f"{operation_id}: two at once: {marks}")
    if sum(reached.values()) > 1 and operation_id not in api.beside:
        verdict.doubled.append(
            f"{operation_id}: its job reached the end {sum(reached.values())} times: {marks}"
        )
    if finished.count("COMPLETED") > 1:
        verdict.doubled.append(f"{operation_id}: COMPLETED {finished.count('COMPLETED')} times")
    starts = Counter(mark.attempt for mark in marks if mark.word == "start")
    if any(count > 1 for count in starts.values()):
        verdict.doubled.append(f"{operation_id}: one attempt was started more than once: {marks}")
