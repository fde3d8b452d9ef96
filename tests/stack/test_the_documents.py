"""The commands of the documents, run as they stand there against a running system.

A block marked `sh` or `python` is run; `sh not-run` is not, and its page says so to the reader. `make deploy-test` runs
those marked `sh deploy-test`.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.authorities import authorities
from tests.stack.system import ROOT, Up, environment
from tests.waiting import until

pytestmark = pytest.mark.stack

DOCS = ROOT / "docs"
RUN = ("quickstart.md", "operating.md", "api.md", "client.md")
NOT_RUN = ("deploy-compose.md", "deploy-systemd.md", "deploy-gpu.md", "deploy-kubernetes.md")


def blocks(page: str) -> list[tuple[str, str]]:
    """(info string, text) of every fenced block."""
    return re.findall(r"(?ms)^```([^\n]*)\n(.*?)^```$", (DOCS / page).read_text())


def on(system: Up, text: str) -> str:
    """The same text for this system: its address, its data directory, this interpreter."""
    for said, meant in (
        ("http://127.0.0.1:8000", system.url),
        ("var/", f"{system.data_dir}/"),
        (".venv/bin/python", sys.executable),
        ("/tmp/ktrdr-quickstart.csv", f"{system.data_dir.parent}/quickstart.csv"),
        ("/tmp/ktrdr-client.csv", f"{system.data_dir.parent}/client.csv"),
    ):
        text = text.replace(said, meant)
    return text


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_says_to_run_runs(system: Up, page: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the documents use curl, which is not installed")
    until(
        lambda: httpx.get(f"{system.url}/readyz", verify=authorities(), timeout=60).is_success,
        "ready",
        60,
        lambda: system.output,
    )
    script = ["set -euo pipefail", f'ktrdr() {{ {sys.executable} -m ktrdr_client.cli.main "$@"; }}']
    for number, (kind, text) in enumerate(blocks(page), 1):
        script.append(f"echo '== block {number}'")
        if kind == "sh":
            script.append(on(system, text))
        elif kind == "python":
            program = system.data_dir.parent / f"{page}.{number}.py"
            program.write_text(on(system, text))
            script.append(f"{sys.executable} {program}")
    assert len(script) > 4
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=ROOT,
        env=environment(
            KTRDR_DATA_DIR=str(system.data_dir),
            KTRDR_URL=system.url,
            KTRDR_TOKEN=system.token,
            PYTHONPATH=str(ROOT / "client"),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.parametrize("page", [*RUN, *NOT_RUN])
def test_a_page_tells_its_reader_which_commands_are_not_run(page: str) -> None:
    kinds = {kind for kind, _ in blocks(page)}
    assert kinds <= {"", "sh", "sh not-run", "sh deploy-test", "python", "json"}
    text = " ".join((DOCS / page).read_text().split())
    if page in NOT_RUN:
        assert not kinds & {"sh", "python"}
        assert re.search(r"was run|Not run|does not run", text)
    elif "sh not-run" in kinds:
        assert re.search(r"Not run by (a|that) test", text)
    assert ("sh deploy-test" in kinds) == ("`sh deploy-test`" in text)


@pytest.mark.parametrize("page", NOT_RUN)
def test_every_block_marked_for_the_deployments_is_run_by_their_test(page: str) -> None:
    trials = "".join(path.read_text() for path in (ROOT / "tests" / "deployments").glob("*.py"))
    sections = re.split(r"(?m)^## (.*)$", (DOCS / page).read_text())
    marked = [
        title
        for title, text in zip(sections[1::2], sections[2::2], strict=True)
        if "```sh deploy-test" in text
    ]
    assert [title for title in marked if f'"{title}"' not in trials] == []


@pytest.mark.parametrize("page", [*RUN, *NOT_RUN])
def test_the_scripts_of_a_page_are_at_least_shell(page: str) -> None:
    for kind, text in blocks(page):
        if kind.startswith("sh"):
            done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_every_path_of_the_repository_that_a_deployment_page_names_exists() -> None:
    for page in NOT_RUN:
        named = set(re.findall(r"\b((?:deploy|requirements|docs)/[\w./{},@-]+\w)", (DOCS / page).read_text()))
        single = {name for name in named if "{" not in name and not name.endswith((".env", "secret.yaml"))}
        assert single
        assert [name for name in sorted(single) if not Path(ROOT, name).exists()] == []
