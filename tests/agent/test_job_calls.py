"""The calls of a job take the types that authors have at hand, and refuse others where they are made."""

import json
import logging
import subprocess
import sys
from io import BytesIO, StringIO
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.agent.conftest import RunningAgent
from worker_agent.job.job import Assignment, Job
from worker_agent.job.main import JobLogHandler
from worker_agent.job.output import LinesOfOutput, redirect_output
from worker_agent.protocol import MAX_TEXT, Outcome
from worker_agent.testing import FakeBackend

PNG = b"\x89PNG\r\n\x1a\nthe rest"


class Figure:
    def savefig(self, target: Any, **options: Any) -> None:
        assert options["format"] == "png"
        target.write(PNG)


class Calls:
    """A job whose messages are read here."""

    def __init__(self, directory: Path) -> None:
        self.received, sent = Pipe(duplex=True)
        self.job = Job(sent, Assignment("op", 1, {}, directory, {}, None))

    def messages(self) -> list[dict[str, Any]]:
        found = []
        while self.received.poll():
            found.append(json.loads(self.received.recv_bytes()))
        return found

    def files(self) -> dict[str, bytes]:
        return {
            message["name"]: Path(message["path"]).read_bytes()
            for message in self.messages()
            if message["kind"] == "artifact"
        }

    def log(self) -> list[str]:
        return [message["message"] for message in self.messages() if message["kind"] == "log"]


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(tmp_path)


def test_a_file_may_be_bytes_text_a_path_or_an_array(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"from a path")
    calls.job.artifact("bytes.bin", bytearray(b"ab"))
    calls.job.artifact("text.txt", "naïve \udc80")
    calls.job.artifact("path.bin", tmp_path / "given")
    calls.job.artifact("array.npy", np.arange(3.0))
    files = calls.files()
    assert np.load(BytesIO(files.pop("array.npy"))).tolist() == [0.0, 1.0, 2.0]
    assert files == {
        "bytes.bin": b"ab",
        "text.txt": "naïve \\udc80".encode(),
        "path.bin": b"from a path",
    }


@pytest.mark.parametrize(
    "content", [5, None, {"a": 1}, [1], object(), np.float64(1.0)], ids=lambda value: type(value).__name__
)
def test_another_type_is_refused_at_the_call(calls: Calls, content: Any) -> None:
    with pytest.raises(TypeError, match=r"The content of the file out.bin must be bytes.*, not"):
        calls.job.artifact("out.bin", content)
    with pytest.raises(TypeError, match="must be bytes"):
        calls.job.checkpoint(1, {"state": content})
    assert calls.messages() == []


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": "x, y"}, {"a": 2, "b": "z"}],
        {"a": [1, 2], "b": ["x, y", "z"]},
        {"a": np.array([1, 2]), "b": pd.Series(["x, y", "z"])},
    ],
    ids=["rows", "columns", "arrays"],
)
def test_a_table_is_stored_as_csv(calls: Calls, rows: Any) -> None:
    calls.job.table("my table", rows)
    calls.job.table("frame.csv", pd.DataFrame(rows).set_index("a"))
    calls.job.table("numbered.csv", pd.DataFrame(rows))
    files = list(calls.files().values())
    assert files == [b'a,b\n1,"x, y"\n2,z\n'] * 3


def test_rows_with_different_columns_leave_cells_empty(calls: Calls) -> None:
    calls.job.table("t", [{"a": 1}, {"b": 2}])
    calls.job.table("empty", [])
    assert calls.files() == {"t.csv": b"a,b\n1,\n,2\n", "empty.csv": b"\n"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ({"a": [1], "b": [1, 2]}, "differ in length: a 1, b 2"),
        ([[1, 2]], "must be a mapping of columns to values, not list"),
        ([[]], "must be a mapping of columns to values, not list"),
        ([{"a": 1}, None], "must be a mapping of columns to values, not NoneType"),
        ([{"a": 1}, "text"], "must be a mapping of columns to values, not str"),
    ],
    ids=["lengths", "list", "text", "an empty row", "no row"],
)
def test_a_table_that_is_none_is_refused(calls: Calls, rows: Any, problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        calls.job.table("t", rows)


def test_a_figure_is_stored_as_png(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "plot").write_bytes(PNG)
    for name, figure in (("my plot (1)", Figure()), ("b.png", PNG), ("c.PNG", tmp_path / "plot")):
        calls.job.figure(name, figure)
    assert list(calls.files().values()) == [PNG] * 3
    for wrong in (b"GIF89a", "text", 5):
        with pytest.raises(TypeError, match="The figure d"):
            calls.job.figure("d", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(2), np.array(0.5), np.bool_(True), True, 1])
def test_scalars_of_numpy_are_numbers(calls: Calls, value: Any) -> None:
    calls.job.metric("loss", step=np.int64(3), value=value)
    calls.job.progress(np.float64(10.0), "step", np.int32(1), np.uint8(2))
    metric, progress = calls.messages()
    assert (metric["step"], metric["value"]) == (3, float(value))
    assert (progress["steps_completed"], progress["steps_total"]) == (1, 2)


@pytest.mark.parametrize(
    "value", ["0.5", None, [0.5], np.array([1.0, 2.0]), object()], ids=lambda value: type(value).__name__
)
def test_a_value_that_is_not_a_number_is_refused_with_its_metric(calls: Calls, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="The value of metric loss must be a number, not"):
        calls.job.metric("loss", 1, value)
    with pytest.raises((TypeError, ValueError), match="The step of metric loss must be a number, not"):
        calls.job.metric("loss", value, 0.5)
    assert calls.messages() == []


def test_nan_is_stored_as_null_and_noted_once(calls: Calls) -> None:
    for step in range(3):
        calls.job.metric("loss", step, float("nan"))
    messages = calls.messages()
    assert [message["value"] for message in messages if message["kind"] == "metric"] == [None] * 3
    assert [message["message"] for message in messages if message["kind"] == "log"] == [
        "Metric loss is nan at some steps; stored as null"
    ]


def test_print_and_logging_become_lines_of_the_log(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", StringIO())
    monkeypatch.setattr(sys, "stderr", StringIO())
    handler = JobLogHandler(calls.job)
    with redirect_output(calls.job.log):
        print("one", "two")
        sys.stdout.write("half ")
        sys.stdout.write("a line\nnot ended")
        print("to standard error", file=sys.stderr)
        handler.emit(logging.LogRecord("library", logging.INFO, "", 0, "said %s", ("this",), None))
    assert calls.log() == ["one two", "half a line", "to standard error", "library: said this", "not ended"]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (["10 %\r20 %\r30 %", "\rdone\n"], ["done"]),
        (["a\r\n", "b\r", "\nc"], ["a", "b", "c"]),
        (["\n\n  \n"], []),
        (["x" * (2 * MAX_TEXT)], ["x" * (2 * MAX_TEXT)]),
        (["bar\r", "baz\r", "end"], ["end"]),
    ],
)
def test_a_line_is_what_a_terminal_would_show(written: list[str], lines: list[str]) -> None:
    shown: list[str] = []
    stream = LinesOfOutput(StringIO(), shown.append)
    for text in written:
        stream.write(text)
    stream.end()
    assert shown == lines


ORPHAN = """
from multiprocessing import Pipe
from pathlib import Path
from worker_agent.job.job import Assignment, Job
received, sent = Pipe()
job = Job(sent, Assignment("op", 1, {}, Path("."), {}, None))
received.close()
job.log("nobody reads this")
print("still here")
"""


def test_a_job_whose_agent_is_gone_ends_without_a_traceback() -> None:
    ended = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


async def test_a_failed_job_keeps_its_files_and_what_it_printed(
    agent: RunningAgent, backend: FakeBackend
) -> None:
    worker = await agent.start()
    await backend.start(worker, "op", {"artifact": "so far", "says": "half way", "fail": "crash"})
    report = await backend.report_of("op")
    assert report.outcome is Outcome.FAILED
    assert [artifact.name for artifact in report.artifacts] == ["out.txt"]
    assert "half way" in [line.message for line in report.logs]
