"""Finds earlier studies with the same spec on the same data, and those of the same symbol with other bars."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from studies.models import Study, StudyFile

MAX_NAMED = 3


def warnings(inputs: Mapping[str, str], spec_sha256: str) -> Iterator[dict[str, Any]]:
    """Yield the warnings of a plan about earlier studies; `inputs` is input name -> SHA-256."""
    if (same := Study.objects.filter(spec_sha256=spec_sha256).first()) is not None:
        message = f"{_named(same.name, same.created_at)} has the same spec, strategy and data; the trials of both count once"
        yield {"code": "same_study", "message": message}
    if changed := list(_changed_bars(inputs)):
        symbols = list(dict.fromkeys(symbol for symbol, _ in changed))
        listed = ", ".join(symbols[:MAX_NAMED])
        more = f" and {len(symbols) - MAX_NAMED} more" if len(symbols) > MAX_NAMED else ""
        message = f"the bars of {listed}{more} have changed since {changed[0][1]}; figures of earlier studies are not comparable"
        yield {"code": "data_changed", "message": message}


def _changed_bars(inputs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (symbol, newest study with it) of the bars that this study used in another version."""
    bars = [name for name in inputs if name.startswith("bars/")]
    newest = StudyFile.objects.filter(name__in=bars).order_by("name", "-study_id").distinct("name")
    for name, sha256, study, at in newest.values_list("name", "file_id", "study__name", "study__created_at"):
        if sha256 != inputs[name]:
            yield name.split("/")[1], _named(study, at)


def _named(name: str, at: datetime) -> str:
    return f"study {name} of {at:%Y-%m-%d}"
