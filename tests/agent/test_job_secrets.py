"""Secrets reach the job that needs them, and nothing that the job sends contains one."""

import base64
import json
import string
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.secretive_worker import SecretiveWorker
from worker_agent.job.redaction import Redaction
from worker_agent.job.secrets import MissingSecret, Secrets
from worker_agent.protocol import ErrorClass, Outcome, SecretsAnswer
from worker_agent.testing.fake_server import lose_answer, status
from worker_agent.testing.running import Running, RunningWorker

KEY = 'k"3y-äö/with+%20 all of it'
LINES = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQ", "c2hvcnQ=", "-----END KEY-----"]
SECRETS = {"API_KEY": KEY, "CERTIFICATE": "\n".join(LINES) + "\n"}
TRACES = (
    KEY,
    KEY[:9],
    json.dumps(KEY)[1:-1],
    quote(KEY),
    base64.b64encode(KEY.encode()).decode(),
    *LINES,
)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    with Running(tmp_path_factory.mktemp("secretive")) as running:
        yield running(SecretiveWorker)


@pytest.mark.parametrize("ends", ["", "error", "invalid", "large"])
def test_nothing_that_a_job_sends_contains_its_secrets(worker: RunningWorker, ends: str) -> None:
    run = worker.run({"ends": ends}, secrets=SECRETS)
    sent = json.dumps(run.report.model_dump(mode="json"), ensure_ascii=False)
    sent += repr(run.report) + "".join(content.decode() for content in run.artifacts.values())
    assert [trace for trace in TRACES if trace in sent] == []
    log = "\n".join(run.logs)
    kinds = ("as text", "in base64", "library: in a record")
    assert [kind for kind in kinds if f"{kind} [secret API_KEY]" not in log] == []
    assert log.count("[secret CERTIFICATE]") == len(LINES)
    assert run.metrics[0].name == "metric [secret API_KEY]"
    match ends:
        case "error":
            assert run.outcome is Outcome.FAILED
            assert run.report.error is not None
            assert run.report.error.message == "RuntimeError: refused: [secret API_KEY]"
            assert "ValueError: [secret API_KEY]" in str(run.report.error.traceback)
        case "invalid":
            assert run.error == "The key [secret API_KEY] is wrong."
        case "large":
            assert run.result["length"] == len(KEY)
            assert json.loads(run.artifacts["result.json"])["value"] == "[secret API_KEY]"
        case _:
            assert run.result == {
                "length": len(KEY),
                "nested": [{"[secret API_KEY]": ["[secret API_KEY]"]}],
            }


def test_neither_the_log_of_the_worker_nor_its_files_contain_a_secret(
    worker: RunningWorker,
) -> None:
    worker.run({}, secrets=SECRETS)
    files = [path for path in worker.running.directory.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if any(trace.encode() in content_of(path) for trace in TRACES)] == []


def content_of(path: Path) -> bytes:
    """Return the content; nothing if the agent, which cleans up behind an operation, has removed the file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_a_job_without_one_of_its_secrets_does_not_start(worker: RunningWorker) -> None:
    run = worker.run({}, secrets={"API_KEY": KEY})
    assert run.outcome is Outcome.FAILED
    assert run.report.error is not None
    assert run.report.error.error_class is ErrorClass.JOB
    assert run.report.error.message == "No secret CERTIFICATE is granted."
    assert run.logs == []


def test_the_request_names_the_attempt_and_is_repeated_after_a_lost_answer(worker: RunningWorker) -> None:
    backend = worker.running.backend
    backend.instead["job_secrets"].extend([lose_answer, status(503)])
    before = len(backend.secret_requests)
    run = worker.run({}, secrets=SECRETS)
    assert run.outcome is Outcome.COMPLETED
    requests = backend.secret_requests[before:]
    assert len(requests) == 2, (
        "one whose answer was lost, and the last one; the 503 did not reach the handler"
    )
    assert {(each.attempt, each.instance_id, each.names) for each in requests} == {
        (1, worker.registration.instance_id, SecretiveWorker.secrets)
    }


def test_a_backend_that_cannot_give_them_leaves_the_operation_to_another_worker(
    worker: RunningWorker,
) -> None:
    worker.running.backend.instead["job_secrets"].extend([status(500)] * 3)
    run = worker.run({}, secrets=SECRETS)
    assert run.outcome is Outcome.INTERRUPTED
    assert "could not fetch the secrets" in run.error


def test_a_name_that_the_worker_does_not_declare_is_explained() -> None:
    secrets = Secrets({"API_KEY": KEY})
    with pytest.raises(MissingSecret, match=r"has no secret OTHER.*it names API_KEY"):
        secrets["OTHER"]
    assert secrets.get("OTHER") is None
    assert KEY not in repr(secrets) + repr(SecretsAnswer(secrets=dict(secrets)))


PLAIN = st.text(string.ascii_letters + string.digits + " \"'\\/+=&%-_\n\täß", min_size=8, max_size=60)


@given(secret=PLAIN.filter(lambda text: len(text.strip()) >= 8), before=PLAIN, after=PLAIN)
def test_a_secret_is_found_in_every_form(secret: str, before: str, after: str) -> None:
    redaction = Redaction([("KEY", secret)])
    forms = (
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    )
    for form in forms:
        shown = redaction.text(f"({before})({form})({after})")
        assert form not in shown.replace(f"({before})", "").replace(f"({after})", "")
    assert redaction.json_object({"a": [secret, 1, None]}) == {"a": [redaction.text(secret), 1, None]}


@given(PLAIN)
def test_without_secrets_nothing_changes(text: str) -> None:
    assert Redaction(()).text(text) == text
    assert Redaction(()).json_object({"a": [text]}) == {"a": [text]}
