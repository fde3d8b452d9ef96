"""What makes the installation of docs/deploy-systemd.md one for a team: TLS for browsers and workers, users, alerts."""

import json
import shutil
import ssl
from functools import partial
from typing import Any

import httpx

from tests.deployments.command import TrialFailed, require, wait_for
from tests.deployments.document import blocks, filled_in
from tests.deployments.machine import Booted
from tests.deployments.results import Results
from tests.deployments.visitor import Visitor

GUIDE = "deploy-systemd.md"
NAME = "ktrdr.example.org"
CLIENT = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def serve_by_tls(results: Results, site: Booted, host: Booted, visitor: Visitor) -> Visitor:
    """Run the guide's blocks about TLS; return a visitor who uses it and trusts only the guide's CA."""
    of_backend, of_workers = blocks(GUIDE, "TLS")
    with results.step("the guide's blocks about TLS"):
        for machine in (site, host):
            machine.run(f"echo '{site.address} {NAME}' >>/etc/hosts")
        site.run(filled_in(of_backend, {"NAME": NAME}), timeout_s=600)
        shutil.copy(site.root / "etc/ktrdr/tls/ca.pem", host.root / "root/ca.pem")
        host.run(f"cd /root\n{filled_in(of_workers, {'NAME': NAME})}")
        secure = Visitor(f"https://{site.address}", visitor.token, _trusting(site))
        secure.wait_for_workers(2)
    plain = httpx.get(f"{visitor.url}/operations", trust_env=False)
    require(plain.is_redirect and plain.headers["Location"].startswith("https://"), f"{plain}")
    wait_for(lambda: _registered_by_tls(host), "both workers have registered by TLS")
    results.add("Sharpe ratio of a backtest by TLS", secure.train_and_backtest())
    return secure


def _trusting(site: Booted) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(site.root / "etc/ktrdr/tls/ca.pem").read_text())


def _registered_by_tls(host: Booted) -> bool:
    lines = host.run("journalctl -u 'ktrdr-worker@*' -o cat --no-pager").splitlines()
    return len([line for line in lines if f"registered with https://{NAME}" in line]) >= 2


def add_users(site: Booted, visitor: Visitor) -> None:
    """Run the guide's block; each user signs in with the printed password."""
    *_, block = blocks(GUIDE, "The backend")
    passwords = site.run(block).split()
    names = [line.split()[2] for line in block.splitlines()]
    for name, password in zip(names, passwords, strict=True):
        visitor.sign_in(name, password)


def watch(results: Results, site: Booted, visitor: Visitor) -> None:
    """Run the guide's block about alerts: Prometheus reads site and workers, and no alert fires; a stopped dispatcher is one."""
    (block,) = blocks(GUIDE, "Alerts")
    with results.step("the guide's block about alerts"):
        site.run(filled_in(block, {"MAIL_PASSWORD": "none"}), timeout_s=600)
        for name, port in (("Prometheus", 9090), ("Alertmanager", 9093)):
            wait_for(partial(_is_ready, site, port), f"{name} answers")
        wait_for(lambda: _healthy_targets(site) == 3, "site and two workers are scraped")
    require(_get(site, "9090/api/v1/alertmanagers")["data"]["activeAlertmanagers"], "no Alertmanager")
    fires = [
        alert for alert in _get(site, "9090/api/v1/alerts")["data"]["alerts"] if alert["state"] == "firing"
    ]
    require(not fires, f"{fires}")
    with results.step("a stopped dispatcher reaches Alertmanager"):
        site.run("systemctl stop ktrdr-dispatcher")
        wait_for(
            lambda: (
                "KtrdrNoDispatcher"
                in {alert["labels"]["alertname"] for alert in _get(site, "9093/api/v2/alerts")}
            ),
            "the alert about the dispatcher",
        )
        site.run("systemctl start ktrdr-dispatcher")


def _is_ready(site: Booted, port: int) -> bool:
    """Return whether the service answers: systemd takes it for started before that."""
    try:
        site.run(f"python3 -c '{CLIENT}' http://127.0.0.1:{port}/-/ready")
    except TrialFailed:
        return False
    return True


def _healthy_targets(site: Booted) -> int:
    targets = _get(site, "9090/api/v1/targets")["data"]["activeTargets"]
    return len([target for target in targets if target["health"] == "up"])


def _get(site: Booted, address: str) -> Any:
    """Return the JSON of an address of the site's own loopback interface."""
    return json.loads(site.run(f"python3 -c '{CLIENT}' http://127.0.0.1:{address}"))
