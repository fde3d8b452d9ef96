"""Every command that users' scripts call exists, has its flags, and ends with the promised status."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from ktrdr_site.embedded import lease
from operations import following, interventions, lifecycle
from operations.actors import SYSTEM
from operations.models import Operation
from tests.factories import CapabilityFactory, OperationFactory, WorkerFactory
from tests.rooms import SITE_ROOMS
from worker_agent.protocol import ErrorClass, OperationError

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "backup": ("--without-secrets", "--json"),
    "cancel_operation": ("--json",),
    "check_workers": ("--json",),
    "cleanup": ("--dry-run", "--json"),
    "delete_secret": (),
    "encrypt_secrets": (),
    "list_secrets": ("--json",),
    "set_secret": ("--worker-type", "--file", "--keep-value", "--json"),
    "cordon": ("--drain", "--json"),
    "create_api_token": ("--name", "--json"),
    "create_enrolment_token": ("--worker-type", "--operation-type", "--json"),
    "doctor": ("--url", "--json"),
    "export_market_data": ("--symbol", "--timeframe", "--json"),
    "follow": (),
    "import_market_data": ("--symbol", "--timeframe", "--adjust", "--wait", "--json"),
    "list_operations": ("--status", "--json"),
    "list_workers": ("--json",),
    "load_demo": ("--api-url",),
    "permit_operation_type": (),
    "prune": ("--logs", "--metrics", "--events", "--operations", "--archive", "--dry-run", "--json"),
    "reset_second_factor": (),
    "restore": ("--check", "--json"),
    "retry_operation": ("--resume", "--json"),
    "run_dispatcher": (),
    "run_schedules": (),
    "run_studies": (),
    "submit": ("--symbols", "--from", "--to", "--model", "--wait", "--json"),
    "uncordon": ("--json",),
    "up": ("--host", "--port", "--data-dir", "--workers", "--no-demo", "--exit-after-demo"),
}
OURS = sorted(name for name, app in get_commands().items() if app.partition(".")[0] in SITE_ROOMS)


def test_every_promised_command_exists() -> None:
    assert set(PROMISED) <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_each_command_has_a_help_text_and_its_flags(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    text = command.create_parser("manage.py", name).format_help()
    assert command.help.endswith(".")
    assert " ".join(command.help.split())[:60] in " ".join(text.split())
    for flag in PROMISED.get(name, ()):
        assert flag in text


@pytest.mark.django_db
def test_commands_on_workers_and_tokens_print_json_for_programs(admin_user: Any) -> None:
    WorkerFactory(worker_id="w")
    assert print_json("cordon", "w", "--drain") == {"worker_id": "w", "cordoned": True, "draining": True}
    assert print_json("uncordon", "w") == {"worker_id": "w", "cordoned": False, "draining": False}
    created = print_json("create_api_token", "admin", "--name", "nightly")
    assert (created["user"], created["name"], created["token"][:4]) == ("admin", "nightly", "ktp_")
    created = print_json("create_enrolment_token", "rack", "--worker-type", "training")
    assert (created["name"], created["worker_types"], created["token"][:4]) == ("rack", ["training"], "kte_")


def print_json(*words: str) -> Any:
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


def manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unreachable_database_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    away = "postgresql://ktrdr:hunter2@127.0.0.1:1/ktrdr"
    done = manage("list_workers", KTRDR_DATABASE_URL=away, KTRDR_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("the database cannot be used: ")
    assert "hunter2" not in done.stderr


def test_a_database_without_tables_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    lease.ensure_running(tmp_path / "postgres")
    try:
        done = manage("list_operations", KTRDR_DATA_DIR=str(tmp_path))
    finally:
        assert lease.release(tmp_path / "postgres", wait_s=30)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "run manage.py migrate" in done.stderr


database_needed = pytest.mark.django_db


@database_needed
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cordon", "none"], "Unknown worker none"),
        (["uncordon", "none"], "Unknown worker none"),
        (["cancel_operation", "none"], "Unknown operation none."),
        (["retry_operation", "none"], "Unknown operation none."),
        (["follow", "none"], "Unknown operation none."),
        (["create_api_token", "none"], "user none does not exist"),
        (["submit", "training", "none.yaml"], "Could not read none.yaml"),
        (["submit", "backtest", "examples/strategies/neuro_fuzzy_daily.yaml"], "A backtest needs one symbol"),
        (["submit", "study", "examples/studies/moving_average_search.yaml"], "A study needs its strategy"),
        (["import_market_data", "none.csv", "--symbol", "A", "--timeframe", "1d"], "Could not read none.csv"),
        (["import_market_data", "README.md", "--symbol", "A", "--timeframe", "9y"], "9y"),
        (["list_operations", "--limit", "0"], "is not a whole number of at least 1"),
        (["list_operations", "--status", "none"], "invalid choice"),
        (["cancel_operations"], "Choose at least one filter"),
        (["cancel_operations", "--status", "none"], "Unknown status NONE"),
        (["retry_operations", "--reason", "again"], "Choose at least one filter"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_an_impossible_command_is_refused_in_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command(*words)


def as_json(*words: str) -> Any:
    out = StringIO()
    call_command(*words, "--json", stdout=out)
    return json.loads(out.getvalue())


@database_needed
def test_json_output_is_only_json() -> None:
    WorkerFactory(worker_id="w")
    operation = OperationFactory()
    assert as_json("list_workers")[0]["worker_id"] == "w"
    assert as_json("list_operations")[0]["operation_id"] == operation.pk
    assert as_json("cancel_operation", operation.pk) == {"operation_id": operation.pk, "status": "CANCELLED"}
    assert as_json("list_operations", "--status", "failed") == []
    assert as_json("retry_operation", operation.pk) == {"operation_id": operation.pk, "status": "PENDING"}
    assert as_json("cancel_operations", "--status", "pending", "--dry-run") == {"matched": 1}
    assert as_json("cancel_operations", "--type", "echo")["changed"] == 1
    assert as_json("retry_operations", "--search", operation.pk)["changed"] == 1
    assert as_json("cleanup")["removed_workers"] == []


def complete(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk).update(status="COMPLETED", completed_at="2026-01-01T00:00Z")


def fail(operation: Operation) -> None:
    lifecycle.fail(operation, OperationError(error_class=ErrorClass.JOB, message="no bars"), SYSTEM)


def cancel(operation: Operation) -> None:
    interventions.cancel(operation.pk, SYSTEM)


@database_needed
@pytest.mark.parametrize(("end", "status"), [(complete, 0), (fail, 1), (cancel, 3)])
def test_follow_exits_with_the_status_of_the_operation(
    end: Callable[[Operation], None], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    operation = OperationFactory()
    end(operation)
    with pytest.raises(SystemExit) as ended:
        call_command("follow", operation.pk)
    assert ended.value.code == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"{operation.pk}: ")
    assert all("\x1b" not in line for line in lines), "plain lines without a terminal"


@database_needed
def test_ctrl_c_detaches_prints_how_to_follow_again_and_leaves_the_operation_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(following.time, "sleep", interrupt)
    CapabilityFactory(operation_type="data_import")
    bars = tmp_path / "bars.csv"
    bars.write_text("Date,Open,High,Low,Close\n2020-01-02,1,2,1,2\n")
    with pytest.raises(SystemExit) as ended:
        call_command("import_market_data", bars, "--symbol", "A", "--timeframe", "1d", "--wait")
    assert ended.value.code == 130
    output = capsys.readouterr()
    operation_id = output.out.strip()
    assert f"manage.py follow {operation_id}" in output.err
    assert Operation.objects.get(pk=operation_id).status == "PENDING"


def read_terminal(terminal: int) -> Iterator[str]:
    """Read everything written to it: the kernel returns pieces, then EIO since the other side is closed."""
    while True:
        try:
            piece = os.read(terminal, 100_000)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        yield piece.decode()


@database_needed
def test_a_terminal_gets_a_bar() -> None:
    operation = OperationFactory(progress={"percentage": 40.0, "current_step": "epoch 4"})
    complete(operation)
    master, slave = os.openpty()
    try:
        with os.fdopen(slave, "w") as terminal:
            assert following.follow(operation.pk, terminal) == 0
        shown = "".join(read_terminal(master))
    finally:
        os.close(master)
    assert "\x1b[" in shown
    assert "40%" in shown
    assert "COMPLETED" in shown
