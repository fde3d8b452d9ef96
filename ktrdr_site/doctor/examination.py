"""All checks, in the order in which one explains the next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ktrdr_site.doctor import (
    clocks,
    database,
    disk,
    notifications,
    secret_files,
    services,
    site,
    versions,
    workers,
)
from ktrdr_site.doctor.finding import Finding

Look = Callable[[], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Look
    needs_database: bool = True


def checks(url: str) -> tuple[Check, ...]:
    """`url` is where the site is to answer."""
    return (
        Check("python", versions.python, needs_database=False),
        Check("data directory", disk.room, needs_database=False),
        Check("secret files", secret_files.modes, needs_database=False),
        Check("enrolment token", secret_files.enrolment, needs_database=False),
        Check("settings", site.settings_in_force, needs_database=False),
        Check("database", database.reachable, needs_database=False),
        Check("postgresql", versions.postgresql),
        Check("connections", database.connections_left),
        Check("migrations", database.migrations),
        Check("database clock", clocks.of_database),
        Check("artifacts", disk.artifacts),
        Check("web", lambda: site.answers(url), needs_database=False),
        Check("schedules", services.schedules),
        Check("notifications", notifications.deliveries),
        Check("dispatcher", services.dispatcher),
        Check("enrolment", workers.can_enrol),
        Check("workers", workers.reachable),
        Check("worker versions", versions.workers),
    )


def examine(url: str) -> list[Finding]:
    """What is wrong. Without a database the checks that need it are left out: that one finding is enough."""
    findings: list[Finding] = []
    has_database = True
    for check in checks(url):
        if check.needs_database and not has_database:
            continue
        found = list(check.look())
        if check.name == "database" and found:
            has_database = False
        if check.name == "migrations" and found:
            has_database = False  # the tables are not those that the others would ask
        findings += found
    return findings
