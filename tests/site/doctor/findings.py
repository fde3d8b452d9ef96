"""What the tests of a check look at."""

from collections.abc import Iterator

from ktrdr_site.doctor.finding import Finding, Severity


def only(findings: Iterator[Finding], severity: Severity = Severity.PROBLEM) -> Finding:
    (finding,) = findings
    assert finding.severity is severity
    assert finding.problem.endswith(".")
    assert finding.remedy
    return finding
