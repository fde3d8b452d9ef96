"""All checks, in an order in which earlier ones explain later ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ktrdr_site.doctor import (
    clocks,
    database,
    disk,
    notifications,
    schema,
    secret_files,
    services,
    site,
    versions,
    workers,
)
from ktrdr_site.doctor.finding import Finding, problem

FindProblems = Callable[[], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    find: FindProblems
    needs_database: bool = True


def checks(url: str) -> tuple[Check, ...]:
    """Return all checks; `url` is the address of the site."""
    return (
        Check("python", versions.python, needs_database=False),
        Check("data directory", disk.free_space, needs_database=False),
        Check("secret files", secret_files.modes, needs_database=False),
        Check("enrolment token", secret_files.enrolment, needs_database=False),
        Check("settings", site.insecure_settings, needs_database=False),
        Check("database", database.reachable, needs_database=False),
        Check("postgresql", versions.postgresql),
        Check("connections", database.connections_left),
        Check("migrations", database.migrations),
        Check("tables", schema.differences),
        Check("database clock", clocks.database_clock),
        Check("artifacts", disk.artifacts),
        Check("web", lambda: site.responds(url), needs_database=False),
        Check("schedules", services.schedules),
        Check("notifications", notifications.deliveries),
        Check("dispatcher", services.dispatcher),
        Check("stored secrets", secret_files.stored),
        Check("enrolment", workers.can_enrol),
        Check("workers", workers.reachable),
        Check("worker versions", versions.workers),
    )


def examine(url: str) -> list[Finding]:
    """Run all checks. Skip those that need the database when it is not usable: that one finding is enough."""
    findings: list[Finding] = []
    has_database = True
    for check in checks(url):
        if check.needs_database and not has_database:
            continue
        check_findings = _run(check)
        if check.name == "database" and check_findings:
            has_database = False
        if check.name == "migrations" and check_findings:
            has_database = False  # the other checks query tables that may be missing or different
        findings += check_findings
    return findings


def _run(check: Check) -> list[Finding]:
    """Return what the check finds. A check that fails is a finding too, and the others still run."""
    findings = []
    try:
        for finding in check.find():
            findings.append(finding)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
        findings.append(
            problem(
                check.name,
                f"This check could not finish: {reason}.",
                "Fix what it names, for example a missing permission of the database's role, and run doctor again.",
            )
        )
    return findings
