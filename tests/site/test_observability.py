"""Grafana dashboard, alerts and documents name only metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from ktrdr_site.observability.prometheus import metric_registry
from worker_agent.agent import Agent
from worker_agent.base import WorkerAPIBase
from worker_agent.monitoring.usage import Usage
from worker_agent.options import Options
from worker_agent.server.prometheus import Family, agent_metrics

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ROOT / "deploy" / "observability"
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
FROM_PROMETHEUS = {"job", "instance", "le"}
pytestmark = pytest.mark.django_db


class QuietWorker(WorkerAPIBase):
    worker_type = "quiet"


@pytest.fixture
def site() -> list[Metric]:
    return list(metric_registry().collect())


@pytest.fixture
def agent(tmp_path: Path) -> list[Family]:
    options = Options(
        "127.0.0.1", 1, "http://127.0.0.1:1", "quiet-1", "http://127.0.0.1:2", tmp_path, "token"
    )
    return list(agent_metrics(Agent(QuietWorker(), options, "i"), Usage(1.0, 1, 1, 1)))


@pytest.fixture
def samples(site: list[Metric], agent: list[Family]) -> set[str]:
    of_site = {metric.name + end for metric in site for end in SUFFIXES.get(metric.type, ("",))}
    return of_site | {family.name for family in agent}


def dashboard_queries() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((DEPLOYED / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOYED / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[tuple[str, str]]:
    return [*dashboard_queries(), *((rule["alert"], rule["expr"]) for rule in alerts())]


def test_every_metric_in_dashboard_and_alerts_exists(samples: set[str]) -> None:
    queried = {(where, name) for where, query in queries() for name in re.findall(r"\bktrdr_\w+", query)}
    assert len(queried) > 40
    assert {(where, name) for where, name in queried if name not in samples} == set()


def test_every_metric_is_on_the_dashboard_or_in_an_alert_unless_it_only_names_or_repeats(
    samples: set[str],
) -> None:
    queried = {name for _, query in queries() for name in re.findall(r"\bktrdr_\w+", query)}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in samples}
    left = families - {re.sub("_(bucket|count|sum)$", "", name) for name in queried}
    assert left == {
        "ktrdr_agent_info", "ktrdr_agent_busy", "ktrdr_agent_draining", "ktrdr_agent_registered",
        "ktrdr_agent_job_processes", "ktrdr_agent_machine_memory_used_gb", "ktrdr_agent_machine_load_average",
        "ktrdr_agent_machine_gpu_memory_percent",
    }  # fmt: skip


def test_every_label_in_a_query_exists(site: list[Metric], agent: list[Family]) -> None:
    labels = {label for metric in site for label in metric._labelnames}
    labels |= {label for family in agent for pairs, _ in family.samples for label in pairs}
    for where, query in queries():
        named = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
        grouped = [
            label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")
        ]
        assert {*named, *grouped} <= labels | FROM_PROMETHEUS, (where, query)


def test_each_panel_has_a_place_and_a_number_of_its_own() -> None:
    dashboard = json.loads((DEPLOYED / "grafana-dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_each_alert_has_a_summary_and_a_runbook() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"].endswith(".")
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/troubleshooting.md"
        assert anchor in anchors, rule["alert"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(DEPLOYED / "alerts.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sample_configuration_scrapes_existing_addresses() -> None:
    site, workers = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())["scrape_configs"]
    assert {site["job_name"], workers["job_name"]} == {"ktrdr", "ktrdr-workers"}
    from django.urls import resolve

    assert resolve(site["metrics_path"])
    assert resolve(workers["http_sd_configs"][0]["url"].removeprefix("http://127.0.0.1:8000"))


def table(site: list[Metric], agent: list[Family]) -> list[str]:
    rows = [
        (
            metric.name + ("_total" if metric.type == "counter" else ""),
            metric.type,
            metric._labelnames,
            metric.documentation,
        )
        for metric in site
    ]
    rows += [
        (family.name, family.kind, tuple(family.samples[0][0]) if family.samples else (), family.description)
        for family in agent
    ]
    return [
        f"| `{name}` | {kind} | {', '.join(labels)} | {meaning} |".replace("|  |", "| |")
        for name, kind, labels, meaning in rows
    ]


def test_the_page_about_metrics_matches_the_code(site: list[Metric], agent: list[Family]) -> None:
    written = (ROOT / "docs" / "observability.md").read_text().splitlines()
    assert [line for line in written if line.startswith("| `ktrdr_")] == table(site, agent)


def test_the_page_names_every_alert() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    assert {rule["alert"] for rule in alerts()} == set(re.findall(r"`(Ktrdr[A-Z]\w+)`", page))
