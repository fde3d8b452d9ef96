"""`/health`, `/readyz` and `/metrics`, and the headers of every page."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from registry.models import Sweep, Worker
from tests.calibration import stretched

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_health_is_open_and_reports_ok(client: Client, prefix: str) -> None:
    answer = client.get(f"{prefix}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_not_ready_reports_the_missing_part(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "no health sweep has completed yet" in answer.json()["not_ready"]["schedules"]


def test_an_old_sweep_is_not_ready_and_its_age_is_reported(client: Client) -> None:
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now() - timedelta(seconds=90))
    assert "completed 90 s ago" in client.get("/readyz").json()["not_ready"]["schedules"]
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now())
    assert "schedules" not in client.get("/readyz").json().get("not_ready", {})


def test_metrics_are_prometheus_text_from_the_rows(api: APIClient) -> None:
    Worker.objects.create(
        worker_id="w-1", worker_type="training", endpoint_url="http://127.0.0.1:1", instance_id="i"
    )
    Sweep.objects.create(kind=Sweep.Kind.HEALTH, completed_at=Now() - timedelta(seconds=7))
    answer = api.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain")
    lines = answer.content.decode().splitlines()
    assert 'ktrdr_workers{cordoned="false",status="AVAILABLE",worker_type="training"} 1.0' in lines
    age = next(line for line in lines if line.startswith("ktrdr_sweep_age_seconds"))
    assert 7 <= float(age.split()[-1]) < 7 + stretched(3)


class Inline(HTMLParser):
    """Collects everything that a strict Content-Security-Policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        data = str(attributes.get("type", "")).endswith("json")
        if tag == "style" or (tag == "script" and "src" not in attributes and not data):
            self.blocked.append(self.get_starttag_text() or tag)
        self.blocked += [f"{tag} {name}" for name in attributes if name == "style" or name.startswith("on")]
        loaded = [str(attributes.get("src", "")), str(attributes.get("href", "")) if tag == "link" else ""]
        self.blocked += [address for address in loaded if address.startswith(("http", "//"))]


@pytest.mark.parametrize("path", ["/admin/", "/admin/auth/user/", "/admin/auth/user/add/", "/schema/browse"])
def test_stock_pages_work_under_the_policy(client: Client, path: str) -> None:
    client.force_login(User.objects.create_superuser("root", password="x"))
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    parser = Inline()
    parser.feed(answer.content.decode())
    assert parser.blocked == []
