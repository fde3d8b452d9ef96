"""The content of a site that survives an upgrade, and a restore of its backup."""

import hashlib
from typing import Any

import httpx

from tests.deployments.command import require
from tests.deployments.visitor import FINAL, Visitor


def kept_by(visitor: Visitor) -> dict[str, Any]:
    """What must survive: ended operations with results, the bytes of their files, and the series of market data."""
    kept: dict[str, Any] = {}
    for listed in visitor.call("GET", "/operations", params={"limit": 200})["results"]:
        operation = visitor.operation(listed["operation_id"])
        if operation["status"] not in FINAL:
            continue
        address = f"/operations/{operation['operation_id']}"
        kept[address] = {
            key: operation[key] for key in ("status", "parameters", "result", "created_at", "completed_at")
        }
        for file in operation["artifacts"]:
            kept[f"{address}/artifacts/{file['name']}"] = _hash(
                visitor, f"{address}/artifacts/{file['name']}"
            )
    for series in visitor.call("GET", "/market-data")["results"]:
        address = f"/market-data/{series['symbol']}/{series['timeframe']}/bars"
        kept[address] = _hash(visitor, address)
    return kept


def _hash(visitor: Visitor, address: str) -> str:
    response = httpx.get(
        f"{visitor.url}{address}", headers={"Authorization": f"Bearer {visitor.token}"}, timeout=120, trust_env=False,
        follow_redirects=True,
    )  # fmt: skip
    require(response.is_success, f"{address}: {response.status_code} {response.text[:500]}")
    return hashlib.sha256(response.content).hexdigest()


def require_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    changed = [address for address, value in before.items() if after.get(address) != value]
    require(before, "nothing was there before")
    require(not changed, "\n".join(f"{key}: {before[key]}, now {after.get(key)}" for key in changed)[:4000])
