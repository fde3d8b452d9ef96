"""docs/deploy-compose.md, executed as it is, on a host with Docker and base images made from Debian."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

from tests.deployments.checkout import REPOSITORY, clone_to, commit_change
from tests.deployments.command import TrialFailed, require, wait_for
from tests.deployments.disk import disk
from tests.deployments.docker_host import CHECKOUT, DockerHost, docker_host
from tests.deployments.document import blocks, filled_in
from tests.deployments.images import TORCH_INDEX, import_bases, package_index
from tests.deployments.job_user import require_jobs_of
from tests.deployments.kept import kept_by, require_kept
from tests.deployments.results import Results
from tests.deployments.systemd import outcomes
from tests.deployments.visitor import LONG, Visitor

GUIDE = "deploy-compose.md"
SETTINGS = """
for name in POSTGRES_PASSWORD KTRDR_SECRET_KEY KTRDR_WORKER_TOKEN; do
  sed -i "s|^$name=$|$name=$(head -c 36 /dev/urandom | base64 | tr '+/' '-_')|" deploy/compose.env
done
"""
"""The reader fills in the secrets, the index and the number of workers."""
WEB_BYTES, WORKER_BYTES = 350_000_000, 1_600_000_000
BACKTEST_WORKERS = 5
PROCESSES = ("db", "web", "schedules", "dispatcher", "studies")
LEFT_ALONE = {"ktrdr_data", "ktrdr_database"}
"""The volumes that `down` keeps."""


@dataclass
class Compose:
    host: DockerHost
    definitions: str
    """The guide's alias and variables."""

    def run(self, script: str, timeout_s: float = 300) -> str:
        """Run commands as in the shell in which the guide's first lines were run."""
        return self.host.run(f"shopt -s expand_aliases\n{self.definitions}\n{script}", timeout_s=timeout_s)

    def containers(self, service: str, *, all_states: bool = False) -> list[dict[str, Any]]:
        """`docker inspect` of the service's containers."""
        names = self.run(f"ktrdr ps {'--all' if all_states else ''} --quiet {service}").split()
        return list(json.loads(self.host.run(f"docker inspect {' '.join(names)}"))) if names else []

    def one_off(self, service: str) -> dict[str, Any]:
        (container,) = self.containers(service)
        return container


def trial(results: Results) -> None:
    with disk("compose") as directory, docker_host(directory) as host:
        results.add(
            "versions",
            host.run("docker version -f '{{.Server.Version}}'; docker compose version --short").replace(
                "\n", " "
            ),
        )
        with results.step("base images"):
            import_bases(host)
        clone_to(host.root, REPOSITORY)
        host.run(f"git clone -q {REPOSITORY} {CHECKOUT}")
        with package_index(host, directory / "index"), host.inside():
            _use(results, host)


def _use(results: Results, host: DockerHost) -> None:
    first, start = blocks(GUIDE, "Start")
    host.run(first)
    host.run(SETTINGS)
    host.run(
        f"sed -i 's|^PIP_EXTRA_INDEX_URL=.*|PIP_EXTRA_INDEX_URL={TORCH_INDEX}|; s|^BACKTEST_WORKERS=.*|BACKTEST_WORKERS={BACKTEST_WORKERS}|' deploy/compose.env"
    )
    lines = start.splitlines()
    first_of_all = next(number for number, line in enumerate(lines) if line.startswith("ktrdr "))
    build, *rest = lines[first_of_all:]
    compose = Compose(host, "\n".join(lines[:first_of_all]))
    try:
        with results.step("images built"):
            compose.run(build.split("&&")[0], timeout_s=3600)
        _measure_images(results, host)
        visitor = _start(results, compose, build.split("&&")[1], rest)
        _check_confinement(results, compose)
        _disturb(results, compose, visitor)
        _check_scaling(compose, visitor)
        kept = _check_data_blocks(compose, visitor)
        _upgrade(results, compose, visitor)
        _check_stop_grace(results, compose, visitor)
        _check_job_user(results, compose, visitor)
        _check_down(results, compose)
        _restore(results, compose, kept)
        results.conclude()
    except TrialFailed as error:
        print(f"compose: {error}", flush=True)
        print(compose.run("ktrdr ps --all 2>&1 || true; ktrdr logs --tail=15 2>&1 || true"), flush=True)
        raise
    finally:
        compose.run("ktrdr down --volumes --timeout 5 >/dev/null 2>&1 || true")


def _measure_images(results: Results, host: DockerHost) -> None:
    limits = {"ktrdr-web": WEB_BYTES, "ktrdr-worker": WORKER_BYTES}
    sizes = {image: int(host.run(f"docker image inspect -f '{{{{.Size}}}}' {image}")) for image in limits}
    for image, size in sizes.items():
        results.add(f"image {image}", f"{size / 1e6:,.0f} MB")
    require(
        all(sizes[image] <= limit for image, limit in limits.items()), f"{sizes}; the limits are {limits}"
    )


def _visitor(compose: Compose) -> Visitor:
    token = compose.run("ktrdr exec -T web cat /var/lib/ktrdr/data/api-token").strip()
    return Visitor("http://127.0.0.1:8000", token)


def _start(results: Results, compose: Compose, up: str, rest: list[str]) -> Visitor:
    """Run `up` and the commands after it; measure from `up` to the first completed backtest."""
    begin = time.monotonic()
    compose.run(f"{up} --scale backtest-worker={BACKTEST_WORKERS}", timeout_s=1800)
    visitor = _visitor(compose)
    visitor.wait_for_workers(BACKTEST_WORKERS + 1)
    results.add(f"`up` to {BACKTEST_WORKERS + 1} available workers", f"{time.monotonic() - begin:.0f} s")
    visitor.import_sample_data()
    results.add("Sharpe ratio of the backtest", visitor.train_and_backtest())
    results.add("`up` to the first completed backtest", f"{time.monotonic() - begin:.0f} s")
    password = ""
    for command in rest:
        output = compose.run(command)
        password = output.strip() if "admin-password" in command else password
    visitor.sign_in("admin", password)
    return visitor


def _check_confinement(results: Results, compose: Compose) -> None:
    """Read-only roots, no capabilities, no root user, health checks, and one published port."""
    published = {}
    for service in (*PROCESSES, "backtest-worker", "training-worker"):
        for container in compose.containers(service):
            host, name = container["HostConfig"], container["Name"]
            ports = {key: bound for key, bound in container["NetworkSettings"]["Ports"].items() if bound}
            if ports:
                published[service] = ports
            if service == "db":
                continue
            require(host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], f"{name}: {host}")
            require("no-new-privileges:true" in host["SecurityOpt"], f"{name}: {host['SecurityOpt']}")
            status = compose.host.run(
                f"grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{container['State']['Pid']}/status"
            )
            require("Uid:\t10001" in status and "CapEff:\t0000000000000000" in status, f"{name}:\n{status}")
            require("NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, f"{name}:\n{status}")
            refusal = compose.host.run(
                f"docker exec {container['Id']} python -c \"open('/opt/x', 'w')\" 2>&1 || true"
            )
            require("Read-only file system" in refusal, f"{name}: {refusal}")
    require(set(published) == {"web"}, f"{published}")
    require([bound["HostIp"] for bound in published["web"]["8000/tcp"]] == ["127.0.0.1"], f"{published}")
    wait_for(lambda: _all_healthy(compose), "all containers with a check are healthy")
    results.add(
        "confined", "uid 10001, no capabilities, seccomp, read-only root; only 127.0.0.1:8000 published"
    )


def _all_healthy(compose: Compose) -> bool:
    return all(
        container["State"]["Health"]["Status"] == "healthy"
        for service in ("db", "web", "backtest-worker", "training-worker")
        for container in compose.containers(service)
    )


def _disturb(results: Results, compose: Compose, visitor: Visitor) -> None:
    """Kill the processes of a worker, and freeze another one for a while."""
    with results.step("a container killed and one paused"):
        victim = compose.containers("backtest-worker")[0]
        before = victim["RestartCount"]
        compose.host.run(f"kill -9 {victim['State']['Pid']}")
        wait_for(
            lambda: any(
                c["RestartCount"] > before
                for c in compose.containers("backtest-worker")
                if c["Id"] == victim["Id"]
            ),
            "the killed container was restarted",
        )
        visitor.wait_for_workers(BACKTEST_WORKERS + 1)
        paused = compose.containers("backtest-worker")[1]
        compose.host.run(f"docker pause {paused['Id']}")
        wait_for(lambda: visitor.workers("TEMPORARILY_UNAVAILABLE"), "the paused worker is noticed")
        compose.host.run(f"docker unpause {paused['Id']}")
        visitor.wait_for_workers(BACKTEST_WORKERS + 1)


def _check_scaling(compose: Compose, visitor: Visitor) -> None:
    """One more worker by the guide's line, which touches no other container."""
    (block,) = blocks(GUIDE, "Scaling")
    before = {container["Id"] for container in compose.containers("backtest-worker")}
    compose.host.run(
        f"sed -i 's|^BACKTEST_WORKERS=.*|BACKTEST_WORKERS={BACKTEST_WORKERS + 1}|' deploy/compose.env"
    )
    compose.run(block)
    after = {container["Id"] for container in compose.containers("backtest-worker")}
    require(before < after and len(after) == BACKTEST_WORKERS + 1, f"before {before}, after {after}")
    visitor.wait_for_workers(BACKTEST_WORKERS + 2)
    compose.host.run(
        f"sed -i 's|^BACKTEST_WORKERS=.*|BACKTEST_WORKERS={BACKTEST_WORKERS}|' deploy/compose.env"
    )
    compose.run(block)
    wait_for(lambda: len(visitor.workers()) == BACKTEST_WORKERS + 1, "the surplus worker deregisters")


def _check_data_blocks(compose: Compose, visitor: Visitor) -> dict[str, Any]:
    """Run the guide's commands for data and for a backup; return the content of the backup."""
    (block,) = blocks(GUIDE, "Data and commands")
    compose.host.run(
        "printf 'Date,Open,High,Low,Close,Volume\\n2024-01-02,100,102,99,101,1000\\n2024-01-03,101,103,100,102,1100\\n' >MINE.csv"
    )
    compose.run(filled_in(block, {"AAPL.csv": "MINE.csv", "--symbol AAPL": "--symbol MINE"}))
    compose.host.run("rm MINE.csv")
    backup, _ = blocks(GUIDE, "Backup and restore")
    compose.run(backup)
    return kept_by(visitor)


def _upgrade(results: Results, compose: Compose, visitor: Visitor) -> None:
    """A new commit while a training runs; the guide's lines up to `up -d`."""
    (block,) = blocks(GUIDE, "Upgrade, stop, remove")
    lines = [line for line in block.splitlines() if not re.match(r"ktrdr down\b", line)]
    training = visitor.submit_training(LONG)
    visitor.wait_until_running(training)
    before = {
        container["Id"] for service in ("web", "backtest-worker") for container in compose.containers(service)
    }
    commit_change(compose.host.root, REPOSITORY)
    with results.step("rolling upgrade with a training running"):
        compose.run("\n".join(lines), timeout_s=3600)
    after = {
        container["Id"] for service in ("web", "backtest-worker") for container in compose.containers(service)
    }
    require(len(after) == len(before) and not before & after, f"before {before}, after {after}")
    visitor.wait_for_workers(BACKTEST_WORKERS + 1)
    visitor.wait_until_running(training, attempt=2)
    found = outcomes(visitor, training)
    results.add("attempts of the training that ran during the upgrade", ", ".join(found))
    require(found == ["interrupted", "running"], f"{found}")
    visitor.cancel(training)


def _check_stop_grace(results: Results, compose: Compose, visitor: Visitor) -> None:
    """A stopped worker gets the time to report a checkpoint, and deregisters."""
    training = visitor.submit_training(LONG)
    visitor.wait_until_running(training)
    worker = compose.one_off("training-worker")
    require(worker["Config"]["StopTimeout"] == 45, f"{worker['Config']}")
    begin = time.monotonic()
    compose.run("ktrdr stop training-worker")
    seconds = time.monotonic() - begin
    results.add("a training worker with a running job stops in", f"{seconds:.1f} s")
    stopped = compose.containers("training-worker", all_states=True)[0]["State"]
    require(
        seconds < 45 and stopped["ExitCode"] == 0 and not stopped["OOMKilled"], f"{seconds:.1f} s, {stopped}"
    )
    found = outcomes(visitor, training)
    require(found == ["interrupted"], f"{found}")
    require(len(visitor.workers()) == BACKTEST_WORKERS, "the stopped worker has not deregistered")
    visitor.cancel(training)


def _check_job_user(results: Results, compose: Compose, visitor: Visitor) -> None:
    """The training worker with the second file of Compose, which docs/security.md names."""
    files = "-f deploy/compose.yml -f deploy/compose.job-user.yml --env-file deploy/compose.env"
    with results.step("a job of another user"):
        compose.run(f"docker compose {files} up -d --no-deps training-worker")
        visitor.wait_for_workers(BACKTEST_WORKERS + 1)
        require_jobs_of(results, compose.host.run, "nobody", visitor)


def _check_down(results: Results, compose: Compose) -> None:
    begin = time.monotonic()
    compose.run("ktrdr down")
    results.add("`down`", f"{time.monotonic() - begin:.0f} s")
    left = compose.host.run(
        "docker ps --all --quiet; docker network ls --quiet --filter label=com.docker.compose.project"
    )
    require(not left.strip(), f"`down` left {left}")
    compose.host.run("docker volume prune --force")
    _require_volumes(compose, LEFT_ALONE)
    compose.run("ktrdr down --volumes")
    _require_volumes(compose, set())


def _restore(results: Results, compose: Compose, kept: dict[str, Any]) -> None:
    """Restore the backup into new volumes."""
    _, block = blocks(GUIDE, "Backup and restore")
    with results.step("the backup restored into new volumes"):
        compose.run(block, timeout_s=600)
        visitor = _visitor(compose)
        visitor.wait_for_workers(BACKTEST_WORKERS + 1)
    require_kept(kept, kept_by(visitor))
    results.add("restored as they were", f"{len(kept)} operations, files and series")


def _require_volumes(compose: Compose, names: set[str]) -> None:
    volumes = compose.host.run("docker volume ls --format '{{.Name}} {{.Labels}}'").splitlines()
    require({volume.split()[0] for volume in volumes} == names, "\n".join(["volumes left:", *volumes]))
