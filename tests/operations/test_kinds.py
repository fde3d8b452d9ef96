"""A kind of operation is one folder and one line of settings; nothing else of `operations` knows it by name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from operations.kind import Kind
from operations.registered_kinds import all_kinds, find_kind, kind_of, register
from tests.waiting import until_exit

ROOT = Path(__file__).resolve().parents[2]
KIND_NAMES = re.compile(r"training|backtesting|data_import")
EXEMPT = ("operations/kinds/", "operations/migrations/", "operations/example_requests.py")

DUMMY_KIND = """
from typing import ClassVar

from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from access.problems import invalid
from operations.headline import Headline
from operations.kind import Kind
from operations.presentation.forms import Form, field_of, queueing_fields
from operations.requests import Queueing, Submission


class CountRequest(Queueing):
    word: str


FORM = Form("New count", "/operations/count", "Start", (field_of(CountRequest, "word", "Word"), *queueing_fields(CountRequest)))


class Count(Kind):
    operation_type = "count"
    title = "Word count"
    former_names: ClassVar = ("tally",)
    description: ClassVar = "Count the letters of a word."
    request_model: ClassVar = CountRequest
    form: ClassVar = FORM
    is_submitted_by_command: ClassVar = False

    def build(self, request):
        if request.word == "none":
            raise invalid("/word", "A count needs a word.")
        return Submission("count", {"word": request.word}, request)

    def prepare(self, operation):
        operation.parameters = {**operation.parameters, "prepared": True}
        operation.save(update_fields=["parameters"])

    def complete(self, operation, report):
        from operations.kind import ResultUnusable
        if "letters" not in (report.result or {}):
            raise ResultUnusable("it counted no letters")

    def headline(self, result):
        return Headline("letters", str(result.get("letters")))

    def api_urls(self):
        class Hello(APIView):
            def get(self, request):
                return Response({"kind": "count"})
        return [path("count/hello", Hello.as_view())]
"""
DUMMY_APPS = """
from django.apps import AppConfig


class CountConfig(AppConfig):
    name = "operations.kinds.count"

    def ready(self):
        from operations.registered_kinds import register
        from operations.kinds.count.kind import Count

        register(Count())
"""
DUMMY_TEST = """
import pytest
from django.contrib.auth.models import User
from django.test import Client

from operations import reports
from operations.actors import SYSTEM
from operations.models import Operation
from tests.claiming import claim_next
from tests.factories import WorkerFactory
from worker_agent.protocol import Outcome, Report

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("someone", password="a-long-password"))
    return client


def post(client, parameters):
    body = {"operation_type": "count", "parameters": parameters}
    return client.post("/operations", body, content_type="application/json")


def test_it_is_submitted_validated_run_listed_and_shown(client):
    refusal = post(client, {"word": "none"})
    assert refusal.status_code == 422
    assert refusal.json()["errors"] == [{"pointer": "/parameters/word", "detail": "A count needs a word."}]
    operation_id = post(client, {"word": "hello"}).json()["operation_id"]
    WorkerFactory(announced=["count"])
    claim = claim_next(SYSTEM)
    assert claim.request.parameters == {"word": "hello", "prepared": True}
    operation = Operation.objects.get(pk=operation_id)
    report = Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={"letters": 5})
    reports.apply(operation_id, operation.worker_id, report)
    page = client.get("/dashboard/operations").content.decode()
    assert "Word count" in page and "letters" in page
    assert "Word count" in client.get(f"/dashboard/operations/{operation_id}").content.decode()
    assert client.get("/count/hello").json() == {"kind": "count"}


def test_an_unusable_result_fails_the_operation(client):
    operation_id = post(client, {"word": "hello"}).json()["operation_id"]
    WorkerFactory(announced=["count"])
    claim_next(SYSTEM)
    operation = Operation.objects.get(pk=operation_id)
    reports.apply(operation_id, operation.worker_id, Report(attempt=1, instance_id="any", outcome=Outcome.COMPLETED, result={}))
    operation.refresh_from_db()
    assert operation.status == "FAILED"
    assert "it counted no letters" in operation.error_message


def test_its_form_has_a_page_and_its_former_name_leads_there(client):
    page = client.get("/dashboard/new").content.decode()
    assert "New count" in page and "Count the letters of a word." in page
    assert client.get("/dashboard/new/count").status_code == 200
    redirect = client.get("/dashboard/new/tally?word=x")
    assert (redirect.status_code, redirect["Location"]) == (308, "/dashboard/new/count?word=x")
"""


def test_adding_a_kind_takes_a_folder_and_a_line_of_settings(tmp_path: Path) -> None:
    tree = tmp_path / "site"
    for room in (
        "access",
        "strategies",
        "studies",
        "dashboard",
        "ktrdr_site",
        "operations",
        "registry",
        "templates",
        "tests",
        "worker_agent",
        "workers",
    ):
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("static", "docs", "examples"):
        (tree / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "pyproject.toml", tree)
    (ROOT / ".pytest_cache").mkdir(exist_ok=True)
    (tree / ".pytest_cache").symlink_to(ROOT / ".pytest_cache")  # with the migrated database
    folder = tree / "operations" / "kinds" / "count"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "apps.py").write_text(DUMMY_APPS)
    (folder / "kind.py").write_text(DUMMY_KIND)
    (tree / "tests" / "operations" / "test_count.py").write_text(DUMMY_TEST)
    settings = tree / "ktrdr_site" / "settings.py"
    line = '    "operations.kinds.data_import",\n'
    text = settings.read_text()
    assert line in text
    settings.write_text(text.replace(line, line + '    "operations.kinds.count",\n'))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/operations/test_count.py",
    ]
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(command, cwd=tree, stdout=output, stderr=subprocess.STDOUT)
        status = until_exit(run, 120)
    reported = (tmp_path / "output").read_text()
    assert status == 0, reported[-4000:]
    assert "3 passed" in reported


def test_no_file_outside_the_kinds_names_a_kind() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "operations").rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(EXEMPT)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if KIND_NAMES.search(line)
    ]
    assert not named, "\n".join(named)


def test_every_kind_has_the_files_that_the_checklist_names() -> None:
    of_this_room = [kind for kind in all_kinds() if type(kind).__module__.startswith("operations.")]
    for kind in of_this_room:
        folder = ROOT / "operations" / "kinds" / kind.operation_type
        files = {path.name for path in folder.glob("*.py")}
        needed = {"__init__.py", "apps.py", "kind.py", "api.py"}
        # A kind without a form, such as a preview, shares the request of the kind that it serves.
        needed |= {"request.py", "form.py"} if kind.form is not None else set()
        assert needed <= files, kind.title


def test_a_kind_is_found_by_its_type_and_its_former_names() -> None:
    for kind in all_kinds():
        assert [find_kind(name) for name in (kind.operation_type, *kind.former_names)] == [
            kind,
            *[kind] * len(kind.former_names),
        ]
    assert find_kind("echo") is None


def test_a_type_that_only_workers_know_has_the_defaults() -> None:
    kind = kind_of("echo")
    assert (kind.operation_type, kind.title, kind.form, kind.is_clonable) == ("echo", "echo", None, True)


def test_two_kinds_of_one_type_are_refused() -> None:
    class Impostor(Kind):
        operation_type = all_kinds()[0].operation_type
        title = "Impostor"

    with pytest.raises(ValueError, match="are both"):
        register(Impostor())
