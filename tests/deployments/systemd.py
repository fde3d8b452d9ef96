"""docs/deploy-systemd.md, executed as it is: a backend and a host with two workers, both booted."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployments.checkout import REPOSITORY, clone_to, commit_change
from tests.deployments.command import require, wait_for
from tests.deployments.disk import disk
from tests.deployments.document import blocks, filled_in
from tests.deployments.job_user import install_drop_in, require_jobs_of
from tests.deployments.kept import kept_by, require_kept
from tests.deployments.machine import Booted, machine
from tests.deployments.network import lan
from tests.deployments.results import Results
from tests.deployments.roots import debian, wheels
from tests.deployments.team import add_users, serve_by_tls, watch
from tests.deployments.visitor import LONG, Visitor

GUIDE = "deploy-systemd.md"
BACKEND, WORKERS = "192.168.1.100", "192.168.1.110"
SITE_UNITS = ("ktrdr-web", "ktrdr-schedules", "ktrdr-dispatcher", "ktrdr-studies")
WORKER_UNITS = ("ktrdr-worker@1", "ktrdr-worker@2")
TIMERS = ("ktrdr-backup.timer", "ktrdr-prune.timer")
SECOND_WORKER = "printf 'WORKER_TYPE=training\\nWORKER_PORT=5013\\n' | install -m 0600 /dev/stdin /etc/ktrdr/worker-2.env\nsystemctl enable --now ktrdr-worker@2"
WORST_EXPOSURE = 2.0
"""Of `systemd-analyze security`, from 0 (confined) to 10."""


@dataclass
class Secrets:
    """The values that the guide leaves to its reader."""

    password: str
    secret_key: str
    worker_token: str

    @classmethod
    def make(cls) -> "Secrets":
        return cls(*(secrets.token_urlsafe(48) for _ in range(3)))


def install_backend(host: Booted, values: Secrets, commit: str = "") -> Visitor:
    first, backup, *_ = blocks(GUIDE, "The backend", commit)
    clone_to(host.root, REPOSITORY, commit)
    host.run(
        filled_in(
            first,
            {
                "REPOSITORY": REPOSITORY,
                "DB_PASSWORD": values.password,
                "KTRDR_SECRET_KEY=...": f"KTRDR_SECRET_KEY={values.secret_key}",
                "KTRDR_WORKER_TOKEN=...": f"KTRDR_WORKER_TOKEN={values.worker_token}",
            },
        ),
        timeout_s=3600,
    )
    host.run(backup)
    return visitor_of(host)


def visitor_of(host: Booted) -> Visitor:
    return Visitor(f"http://{host.address}:8000", host.run("cat /var/lib/ktrdr/api-token").strip())


def install_workers(host: Booted, values: Secrets, commit: str = "") -> None:
    """One for backtests, word for word, and a second one for training, as the paragraph after it describes."""
    (block,) = blocks(GUIDE, "A worker on any host", commit)
    clone_to(host.root, REPOSITORY, commit)
    token = f"KTRDR_WORKER_TOKEN={values.worker_token}"
    host.run(filled_in(block, {"REPOSITORY": REPOSITORY, "KTRDR_WORKER_TOKEN=...": token}), timeout_s=3600)
    host.run(SECOND_WORKER)


@contextmanager
def backend(
    results: Results, directory: Path, values: Secrets, commit: str = ""
) -> Iterator[tuple[Booted, Visitor]]:
    """A booted backend at its address in the guide, of an earlier commit if one is named; to be used inside the network."""
    with machine("backend", BACKEND, debian("bookworm"), directory) as host:
        with results.step("the guide's blocks about the backend"):
            visitor = install_backend(host, values, commit)
        require(host.active(*SITE_UNITS, *TIMERS), host.run("systemctl --failed"))
        require(visitor.answers("/health"), "the site does not answer at its address")
        yield host, visitor


def check_confinement(results: Results, host: Booted, units: tuple[str, ...]) -> None:
    exposures = {}
    for unit in units:
        lines = host.run(f"systemd-analyze security --no-pager {unit} | tail -1")
        exposures[unit] = float(lines.split(":")[1].split()[0])
        process = host.main_process(unit)
        status = host.run(f"grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{process}/status")
        require("CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, f"{unit}:\n{status}")
        require("Seccomp:\t2" in status and "Uid:\t0" not in status, f"{unit}:\n{status}")
    results.add(f"`systemd-analyze security`, worst unit of {host.name}", max(exposures.values()))
    require(max(exposures.values()) <= WORST_EXPOSURE, f"{exposures}")


def kill_each(host: Booted, units: tuple[str, ...]) -> None:
    """Each main process gets SIGKILL at once; systemd starts all of them again."""
    before = {unit: host.main_process(unit) for unit in units}
    host.run(f"kill -9 {' '.join(map(str, before.values()))}")

    def back() -> bool:
        return host.active(*units) and all(host.main_process(unit) not in {0, before[unit]} for unit in units)

    wait_for(back, f"{units} run again")


def check_commands(host: Booted) -> None:
    """The wrapper has the site's database, its timers exist, and manage.py without the settings refuses."""
    require("backtesting" in host.run("ktrdr list_workers"), "ktrdr list_workers shows no worker")
    host.run("systemctl start ktrdr-backup")
    timers = host.run("systemctl list-timers --no-pager --full")
    require(all(timer in timers for timer in TIMERS), timers)
    host.run(
        "systemctl start ktrdr-prune && systemctl show --property=Result ktrdr-prune | grep -qx Result=success"
    )
    archives = host.run("stat --format='%a %U %n' /var/backups/ktrdr/ktrdr-*.tar")
    require(archives.startswith("600 ktrdr "), archives)
    diagnosis = host.run("ktrdr doctor")
    require("No problems found" in diagnosis, diagnosis)
    refusal = host.run("cd /opt/ktrdr && .venv/bin/python manage.py list_workers 2>&1 || true")
    require("Traceback" not in refusal and "database" in refusal, f"without the settings:\n{refusal}")


def upgrade(site: Booted, workers: Booted) -> None:
    """A new commit, then the guide's two blocks."""
    of_backend, of_workers = blocks(GUIDE, "Upgrade")
    for host, block in ((site, of_backend), (workers, of_workers)):
        commit_change(host.root, REPOSITORY)
        host.run(block, timeout_s=1800)


def restore(results: Results, site: Booted, visitor: Visitor) -> Visitor:
    """Make a backup, and let the guide's block replace the site's content by it; return a visitor with its token."""
    (block,) = blocks(GUIDE, "Restore")
    site.run("systemctl start ktrdr-backup")
    kept = kept_by(visitor)
    with results.step("the newest backup restored"):
        site.run(block)
        visitor = visitor_of(site)
        visitor.wait_for_workers(2)
    require_kept(kept, kept_by(visitor))
    visitor.sign_in("admin", site.run("cat /var/lib/ktrdr-before/admin-password").strip())
    results.add("restored as they were", f"{len(kept)} operations, files and series")
    return visitor


def require_change(host: Booted, python: str) -> None:
    """Require that the processes of this installation import the code of the last commit."""
    host.run(
        f"grep -q '# A change' $(cd / && {python} -c 'import worker_agent; print(worker_agent.__file__)')"
    )


def outcomes(visitor: Visitor, operation_id: str) -> list[str]:
    return [attempt["outcome"] or "running" for attempt in visitor.operation(operation_id)["attempts"]]


def trial(results: Results) -> None:
    wheels()
    values = Secrets.make()
    with (
        disk("systemd") as directory,
        lan(),
        backend(results, directory, values) as (site, visitor),
        machine("workers", WORKERS, debian("bookworm"), directory) as host,
    ):
        results.add(
            "versions",
            site.run(
                ". /etc/os-release; echo $PRETTY_NAME; systemctl --version | head -1; psql --version"
            ).replace("\n", "; "),
        )
        with results.step("the guide's blocks about a worker"):
            install_workers(host, values)
        use(results, site, host, visitor)
        results.conclude()


def use(results: Results, site: Booted, host: Booted, visitor: Visitor) -> None:
    for worker in visitor.wait_for_workers(2):
        require(worker["endpoint_url"].startswith(f"http://{WORKERS}:"), f"{worker}")
    visitor.sign_in("admin", site.run("cat /var/lib/ktrdr/admin-password").strip())
    with results.step("imports, a training and a backtest over HTTP"):
        visitor.import_sample_data()
        results.add("Sharpe ratio of the backtest", visitor.train_and_backtest())
    with results.step("confinement, wrapper, timers"):
        check_confinement(results, site, SITE_UNITS)
        check_confinement(results, host, WORKER_UNITS)
        check_commands(site)
    with results.step("kill -9 of each main process"):
        kill_each(site, SITE_UNITS)
        kill_each(host, WORKER_UNITS)
        visitor.wait_for_workers(2)
    training = visitor.submit_training(LONG)
    visitor.wait_until_running(training)
    with results.step("upgrade with a training running"):
        upgrade(site, host)
        require_change(host, "/opt/ktrdr-worker/.venv/bin/python")
        visitor.wait_for_workers(2)
        visitor.wait_until_running(training, attempt=2)
    with results.step("both hosts shut down and booted again"):
        host.power_off()
        site.power_off()
        site.boot()
        host.boot()
        require(
            site.active(*SITE_UNITS, *TIMERS) and host.active(*WORKER_UNITS), site.run("systemctl --failed")
        )
        visitor.wait_for_workers(2)
        visitor.wait_until_running(training, attempt=3)
    found = outcomes(visitor, training)
    results.add("attempts of the interrupted training", ", ".join(found))
    require(found == ["interrupted", "interrupted", "running"], f"{found}")
    visitor.cancel(training)
    wait_for(lambda: visitor.operation(training)["status"] == "CANCELLED", "the training is cancelled")
    with results.step("a job of another user"):
        install_drop_in(host.run, WORKER_UNITS[1])
        require_jobs_of(results, host.run, "ktrdr-jobs", visitor)
    visitor = restore(results, site, visitor)
    visitor = serve_by_tls(results, site, host, visitor)
    add_users(site, visitor)
    watch(results, site, visitor)
