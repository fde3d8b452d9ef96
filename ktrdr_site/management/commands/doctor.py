import json
import os
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from ktrdr_site.doctor.examination import checks, examine
from ktrdr_site.doctor.finding import Finding, Severity
from worker_agent.visible_text import one_line


class Command(BaseCommand):
    help = "Check this installation and print each problem with its remedy. Exit status 1 if something does not work."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            default=os.environ.get("KTRDR_API_URL", "http://127.0.0.1:8000"),
            help="address of the site (KTRDR_API_URL, else %(default)s)",
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the findings as JSON")

    def handle(self, *args: Any, url: str, as_json: bool, **options: Any) -> None:
        findings = examine(url)
        healthy = all(finding.severity is not Severity.PROBLEM for finding in findings)
        if as_json:
            report = {"healthy": healthy, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self._print(findings, len(checks(url)))
        if not healthy:
            raise SystemExit(1)

    def _print(self, findings: list[Finding], checks_run: int) -> None:
        for finding in findings:
            self.stdout.write(one_line(f"{finding.severity} ({finding.check}): {finding.problem}"))
            self.stdout.write(f"    {finding.remedy}\n")
        if not findings:
            self.stdout.write(f"No problems found ({checks_run} checks).")
            return
        counts = [sum(finding.severity is severity for finding in findings) for severity in Severity]
        self.stdout.write(
            ", ".join(
                f"{count} {severity}{'s' if count != 1 else ''}"
                for count, severity in zip(counts, Severity, strict=True)
            )
            + "."
        )
