"""The identity of a study: two studies with the same spec, strategy and data try the same points, and count once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from studies.request import StudyRequest
from workers.studies.binding import BoundStudy

UNCOUNTED = ("name", "description", "budget")
"""Sections that change no trial."""


def data_of(inputs: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the bars with their hashes; the name of an input is `bars/SYMBOL/TIMEFRAME.parquet`."""
    rows = []
    for name, sha256 in sorted(inputs.items()):
        if name.startswith("bars/"):
            _, symbol, timeframe = name.removesuffix(".parquet").split("/")
            rows.append({"symbol": symbol, "timeframe": timeframe, "sha256": sha256})
    return rows


def spec_sha256(bound: BoundStudy, request: StudyRequest, inputs: Mapping[str, str]) -> str:
    """Return the SHA-256 of the spec without name and budget, the strategy, the data and the model."""
    spec: dict[str, Any] = bound.study.model_dump_spec()
    counted = {name: value for name, value in spec.items() if name not in UNCOUNTED}
    parts = [counted, request.strategy_yaml, data_of(inputs), request.model]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
