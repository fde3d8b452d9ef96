"""`make soak`: the fault tests again and again, with what they count: operations, attempts, lost, run twice at once.

    make soak ARGS="--repeats 20 --minutes 120 -k agents"
    make soak ARGS="--repeats 3 --tls"      with agents that serve https under a private CA

Ends with status 1 where anything was lost or ran twice at once, or a test failed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
COUNTED = ("operations", "attempts", "lost", "doubled", "superseded")
ONE_ROUND_S = 1800


@dataclass
class Tally:
    rounds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    by_test: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, report: Path) -> None:
        self.rounds += 1
        for case in ElementTree.parse(report).iter("testcase"):
            found = {one.get("name"): int(one.get("value") or 0) for one in case.iter("property")}
            row = Counter({name: found.get(name, 0) for name in COUNTED})
            row["failed"] = len(case.findall("failure")) + len(case.findall("error"))
            row["skipped"] = len(case.findall("skipped"))
            row["runs"] = 1
            self.counts += row
            self.by_test[str(case.get("name"))] += row

    @property
    def is_clean(self) -> bool:
        return self.rounds > 0 and not any(self.counts[name] for name in ("lost", "doubled", "failed"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=240.0, help="no new round after so long")
    parser.add_argument("-k", dest="only", default="", help="only tests whose name contains this")
    parser.add_argument("--tls", action="store_true", help="agents serve https under a private CA")
    wish = parser.parse_args()
    tally, begun = Tally(), time.monotonic()
    while tally.rounds < wish.repeats and time.monotonic() - begun < 60 * wish.minutes:
        with tempfile.TemporaryDirectory() as directory:
            report = Path(directory) / "report.xml"
            one_round(report, wish.only, tls=wish.tls)
            if not report.exists():
                print("a round left no report", file=sys.stderr)
                return 1
            tally.add(report)
        print(f"round {tally.rounds}: {dict(tally.counts)}", flush=True)
    show(tally, tls=wish.tls)
    return 0 if tally.is_clean else 1


def one_round(report: Path, only: str, *, tls: bool) -> None:
    """Every test of this folder, the slow ones too."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE),
        "-m",
        "",
        "-q",
        "--tb=short",
        f"--junitxml={report}",
        *(["--tls"] if tls else []),
    ]
    try:
        subprocess.run([*command, "-k", only], cwd=HERE.parents[1], timeout=ONE_ROUND_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"a round took longer than {ONE_ROUND_S} s", file=sys.stderr)


def show(tally: Tally, *, tls: bool) -> None:
    columns = ("runs", "failed", "skipped", *COUNTED)
    table = Table("fault", *columns)
    for name, row in sorted(tally.by_test.items()):
        table.add_row(name, *(str(row[column]) for column in columns))
    table.add_row(
        f"all, {tally.rounds} rounds{', agents serve https' if tls else ''}",
        *(str(tally.counts[column]) for column in columns),
    )
    Console(width=None if sys.stdout.isatty() else 180).print(table)


if __name__ == "__main__":
    sys.exit(main())
