"""Commands, variables, ports and times named in deploy/ exist in the code."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.core.management import get_commands

from ktrdr_site.stack.services import web_command
from tests.rooms import ROOMS
from tests.stack.system import ROOT
from worker_agent.agent import FINAL_REPORT_S
from worker_agent.job.process import EXIT_GRACE_S, TERM_GRACE_S
from workers.backtest import BacktestWorker
from workers.training import TrainingWorker

DEPLOY = ROOT / "deploy"
OF_COMPOSE = {"KTRDR_BIND", "KTRDR_PORT", "KTRDR_HOSTS", "WORKER_MEMORY", "WORKER_EXTRA"}
"""Read only by compose.yml."""
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
GUNICORN_GRACE_S = 30
LONGEST_GOODBYE_S = TERM_GRACE_S + EXIT_GRACE_S + 2 * FINAL_REPORT_S
"""What an agent needs to leave after the grace that it gives its job."""


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yml").read_text()))


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for found in manifests():
        if found["kind"] in {"Deployment", "Job"}:
            yield found["metadata"]["name"], found["spec"]["template"]["spec"]


def unit(path: Path) -> dict[str, list[str]]:
    """Key -> its values, of all sections."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """(where, words) of every command line that a deployment starts."""
    for name, service in compose()["services"].items():
        if "command" in service:
            yield f"compose.yml: {name}", service["command"]
    for name, pod in pods():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            if "command" in container:
                yield f"kubernetes: {name}", container["command"]
    for path in UNITS:
        for key in ("ExecStartPre", "ExecStart"):
            for line in unit(path).get(key, ()):
                yield path.name, shlex.split(line)
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"(?m)^(?:CMD|ENTRYPOINT) (\[.*\])$", dockerfile):
        yield "Dockerfile", yaml.safe_load(line)


def read_by_the_code() -> set[str]:
    code = "".join(path.read_text() for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return set(re.findall(r'"((?:KTRDR|WORKER)_[A-Z_]+)"', code))


def test_every_management_command_exists() -> None:
    named = [
        (where, words[words.index("manage.py") + 1]) for where, words in commands() if "manage.py" in words
    ]
    assert len(named) > 8
    assert [pair for pair in named if pair[1] not in get_commands()] == []


def values_of(option: str, words: Sequence[str]) -> list[str]:
    return [word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}=")]


def test_gunicorn_serves_the_site_in_the_same_way_everywhere() -> None:
    own = web_command("0.0.0.0:8000", 2)
    lines = [words for _, words in commands() if "gunicorn" in words[0]]
    assert len(lines) == 2
    for words in lines:
        assert words[1] == "ktrdr_site.wsgi"
        for option in ("--worker-class", "--threads", "--timeout", "--keep-alive", "--logger-class"):
            assert values_of(option, words) == values_of(option, own)


def test_the_server_keeps_connections_open_for_longer_than_clients() -> None:
    """A client that keeps its own for longer meets one that the server closes while a request is on its way."""
    (seconds,) = values_of("--keep-alive", web_command("", 1))
    assert float(seconds) >= 2 * httpx.Limits().keepalive_expiry


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}
    ],
    ids=lambda path: path.name,
)
def test_every_variable_is_one_that_the_code_reads(path: Path) -> None:
    named = set(re.findall(r"\b(?:KTRDR|WORKER)_[A-Z][A-Z_]*\b", path.read_text()))
    assert named - read_by_the_code() - OF_COMPOSE == set()


def test_workers_of_compose_may_be_any_number() -> None:
    for name in ("backtest-worker", "training-worker"):
        service = compose()["services"][name]
        assert not {"container_name", "hostname", "ports"} & set(service), name
        assert "WORKER_ID" not in service["environment"], "each is named by its container"


def test_docker_volume_prune_finds_the_volumes_of_removed_workers() -> None:
    volumes = [volume for service in compose()["services"].values() for volume in service.get("volumes", [])]
    assert volumes
    assert all(":" in volume for volume in volumes), (
        "Docker before version 28 marks only the image's as anonymous"
    )
    of_worker = (DEPLOY / "Dockerfile").read_text().split(" AS worker")[1]
    assert "\nVOLUME /var/lib/ktrdr\n" in of_worker


def test_every_worker_has_the_port_of_its_type() -> None:
    ports = {"backtesting": BacktestWorker.default_port, "training": TrainingWorker.default_port}
    found = [compose()["services"][name]["environment"] for name in ("backtest-worker", "training-worker")]
    for _, pod in pods():
        found += [
            {entry["name"]: entry.get("value") for entry in container["env"]}
            for container in pod["containers"]
            if "env" in container
        ]
    assert len(found) == 4
    assert all(int(env["WORKER_PORT"]) == ports[env["WORKER_TYPE"]] for env in found)
    assert "--port 5002" in unit(DEPLOY / "systemd" / "ktrdr-gpu-worker.service")["ExecStart"][0]


def test_whoever_stops_a_worker_waits_longer_than_the_worker_needs() -> None:
    graces = []
    for name in ("backtest-worker", "training-worker"):
        service = compose()["services"][name]
        graces.append((service["stop_grace_period"].removesuffix("s"), service["environment"]))
    for name, pod in pods():
        if "worker" in name:
            env = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
            graces.append((pod["terminationGracePeriodSeconds"], env))
    for path in UNITS:
        if "worker" in path.name:
            env = dict(word.split("=", 1) for line in unit(path)["Environment"] for word in line.split())
            graces.append((unit(path)["TimeoutStopSec"][0], env))
    assert len(graces) == 6
    for seconds, env in graces:
        assert float(seconds) > float(env["KTRDR_SHUTDOWN_GRACE_S"]) + LONGEST_GOODBYE_S


def test_whoever_stops_the_web_server_waits_for_its_requests() -> None:
    (web,) = (pod for name, pod in pods() if name == "ktrdr-web")
    assert web["terminationGracePeriodSeconds"] > GUNICORN_GRACE_S
    assert int(unit(DEPLOY / "systemd" / "ktrdr-web.service")["TimeoutStopSec"][0]) > GUNICORN_GRACE_S
    assert int(compose()["services"]["web"]["stop_grace_period"].removesuffix("s")) > GUNICORN_GRACE_S


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_signals_the_main_process_alone_and_runs_confined(path: Path) -> None:
    keys = unit(path)
    assert keys["KillMode"] == ["mixed"]
    assert keys["User"] == ["ktrdr"]
    assert keys["NoNewPrivileges"] == ["yes"]
    assert keys["ProtectSystem"] == ["strict"]
    assert keys["CapabilityBoundingSet"] == [""]


def test_a_gpu_unit_keeps_the_devices_that_the_others_lose() -> None:
    """ProtectClock= too closes /dev/nvidia*: it makes a list of allowed devices."""
    gpu = unit(DEPLOY / "systemd" / "ktrdr-gpu-worker.service")
    assert not {"PrivateDevices", "ProtectClock", "DeviceAllow"} & set(gpu)
    assert unit(DEPLOY / "systemd" / "ktrdr-worker@.service")["PrivateDevices"] == ["yes"]


def test_pods_run_without_root_and_workers_learn_neither_database_nor_secret_key() -> None:
    found = dict(pods())
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
    workers = [pod for name, pod in found.items() if "worker" in name]
    assert len(workers) == 2
    assert "ktrdr-backend" not in str(workers)
    for name in ("backtest-worker", "training-worker"):
        assert not {"KTRDR_SECRET_KEY", "KTRDR_DATABASE_URL"} & set(
            compose()["services"][name]["environment"]
        )


def test_every_deployment_but_none_of_its_neighbours_is_in_a_disruption_budget() -> None:
    deployments = {found["metadata"]["name"]: found for found in manifests() if found["kind"] == "Deployment"}
    budgets = {
        found["metadata"]["name"]: found for found in manifests() if found["kind"] == "PodDisruptionBudget"
    }
    assert set(deployments) == set(budgets)
    for name, budget in budgets.items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        wanted = budget["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= labels.items()


def test_env_example_names_every_setting_of_the_site_and_none_besides() -> None:
    settings = (ROOT / "ktrdr_site" / "settings.py").read_text()
    wanted = set(re.findall(r'"(KTRDR_[A-Z_]+)"', settings))
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"(?m)^#?(KTRDR_[A-Z_]+)=", example))
    assert wanted - named == set(), "a setting without its line"
    assert named <= read_by_the_code()
