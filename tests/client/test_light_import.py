"""The console command starts without the packages that only tables need."""

import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client"
HEAVY = {"numpy", "pandas", "pyarrow"}
PROGRAM = """
import sys
import httpx
from ktrdr_client.cli.main import main

def answer(request):
    return httpx.Response(200, json={"results": [], "next": None, "next_offset": None})

try:
    status = main(sys.argv[1:], httpx.MockTransport(answer))
except SystemExit as ended:
    status = ended.code
print("loaded:", *sorted(name for name in sys.modules if "." not in name))
sys.exit(status)
"""


@pytest.mark.parametrize("line", ["--help", "list", "runs", "workers --json", "schedules list", "cancel"])
def test_a_command_without_tables_loads_no_heavy_package(line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *line.split()],
        env={"PYTHONPATH": str(CLIENT)},
        capture_output=True,
        text=True,
        check=False,
    )
    (loaded,) = [text for text in done.stdout.splitlines() if text.startswith("loaded:")]
    assert "ktrdr_client" in loaded.split()
    assert HEAVY.isdisjoint(loaded.split()), done.stderr
