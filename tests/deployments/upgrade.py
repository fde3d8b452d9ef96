"""The rehearsal of an upgrade: installed by the guide of an earlier commit, upgraded by the present one while a training runs."""

import time
from datetime import datetime

from tests.deployments.checkout import REPOSITORY, commit_of, move_to
from tests.deployments.command import require, wait_for
from tests.deployments.disk import disk
from tests.deployments.document import blocks
from tests.deployments.kept import kept_by, require_kept
from tests.deployments.machine import Booted, machine
from tests.deployments.network import lan
from tests.deployments.results import Results
from tests.deployments.roots import debian, wheels
from tests.deployments.systemd import (
    GUIDE,
    SITE_UNITS,
    TIMERS,
    WORKER_UNITS,
    WORKERS,
    Secrets,
    backend,
    install_workers,
    outcomes,
)
from tests.deployments.visitor import LONG, Visitor

PROBE_EPOCHS = 200
"""In these the speed of a training is measured."""
AT_LEAST_S = 120.0
"""The training outlasts an upgrade: it takes as long as the first installation of the workers, or this long."""


def trial(results: Results, release: str) -> None:
    before, present = commit_of(release), commit_of("HEAD")
    wheels(before)
    wheels()
    values = Secrets.make()
    results.add("from, to", f"{release[:12]}, {present[:7]}")
    with (
        disk("upgrade") as directory,
        lan(),
        backend(results, directory, values, before) as (site, visitor),
        machine("workers", WORKERS, debian("bookworm"), directory) as host,
    ):
        begin = time.monotonic()
        with results.step("the earlier guide's blocks about a worker"):
            install_workers(host, values, before)
        duration = max(AT_LEAST_S, time.monotonic() - begin)
        _rehearse(results, site, host, visitor, present, duration)
        results.conclude()


def _rehearse(
    results: Results, site: Booted, host: Booted, visitor: Visitor, present: str, duration: float
) -> None:
    visitor.wait_for_workers(2)
    require(not _at(visitor, present), "the earlier commit is the present one")
    visitor.import_sample_data()
    results.add("Sharpe ratio before", visitor.train_and_backtest())
    epochs = _epochs_within(visitor, duration)
    kept = kept_by(visitor)
    training = visitor.submit_training(epochs)
    visitor.wait_until_running(training)
    with results.step("upgrade by the present guide with a training running"):
        for machine_, block in zip((site, host), blocks(GUIDE, "Upgrade"), strict=True):
            move_to(machine_.root, REPOSITORY, present)
            machine_.run(block, timeout_s=1800)
    require(site.active(*SITE_UNITS, *TIMERS) and host.active(*WORKER_UNITS), site.run("systemctl --failed"))
    wait_for(lambda: _at(visitor, present), "both workers have registered with the present version")
    visitor.sign_in("admin", site.run("cat /var/lib/ktrdr/admin-password").strip())
    require_kept(kept, kept_by(visitor))
    results.add("kept as they were", f"{len(kept)} operations, files and series")
    operation = visitor.follow(training)
    attempts = outcomes(visitor, training)
    results.add(f"attempts of the training of {epochs} epochs", ", ".join(attempts))
    require(attempts == ["interrupted", "completed"], f"{attempts}")
    step = operation["attempts"][1]["resumed_from_step"]
    require(step, f"the second attempt has not resumed from a checkpoint: {operation['attempts']}")
    results.add("its second attempt resumed from epoch", step)
    results.add("Sharpe ratio after", visitor.train_and_backtest())
    site.run("ktrdr doctor")


def _at(visitor: Visitor, commit: str) -> bool:
    """Return whether both workers are available, in the version of the commit."""
    workers = visitor.workers() if visitor.answers() else []
    return len(workers) == 2 and all(f"+g{commit[:7]}" in worker["version"] for worker in workers)


def _epochs_within(visitor: Visitor, seconds: float) -> int:
    """Return how many epochs a training does here in that time, by the times of two of its reports."""
    probe = visitor.submit_training(LONG)

    def report(after: float = 0.0) -> tuple[float, datetime] | None:
        progress = visitor.operation(probe)["progress"]
        epochs = progress["percentage"] / 100 * LONG
        return (epochs, datetime.fromisoformat(progress["updated_at"])) if epochs > after else None

    first, begin = wait_for(report, "the probe makes progress")
    last, end = wait_for(lambda: report(first + PROBE_EPOCHS), f"{PROBE_EPOCHS} more epochs are reported")
    visitor.cancel(probe)
    wait_for(lambda: visitor.operation(probe)["status"] == "CANCELLED", "the probe is cancelled")
    return min(LONG, max(100, int((last - first) / (end - begin).total_seconds() * seconds)))
