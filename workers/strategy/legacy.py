"""Older spellings of KTRDR files, and sections that are not supported."""

from typing import Any

from workers.strategy.errors import UnplacedProblem, pointer

UNSUPPORTED_SECTIONS = {
    "context_data": "other data providers are not implemented: every input is computed from the bars of its symbol",
    "deployment": "live deployment is not supported; symbols and dates are chosen when a backtest is submitted",
    "scope": "live deployment is not supported; remove scope",
    "orchestrator": "an orchestrator is not supported; sizes and limits are parameters of the backtest",
    "risk_management": "stops, targets and sizes are parameters of the backtest",
    "backtesting": "costs, capital and dates are parameters of the backtest",
    "ensemble": "ensembles are not implemented; submit one strategy for each model",
    "models": "ensembles are not implemented; submit one strategy for each model",
    "composition": "ensembles are not implemented; submit one strategy for each model",
    "feature_version": "feature_version belongs to version 2; list the inputs under nn_inputs",
}
"""Sections of KTRDR files that are rejected, and the reason."""
_UNKNOWN_LABELS = {
    "context": "the label source context is not implemented; forward_return with a threshold is equivalent",
}


def modernise(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[UnplacedProblem]]:
    """Return the file in the current spelling, the origin of each moved value (new pointer to old) and the problems."""
    problems = [(pointer(key), UNSUPPORTED_SECTIONS[key]) for key in data if key in UNSUPPORTED_SECTIONS]
    problems += _version_problems(data)
    problems += _label_problems(data)
    moved: dict[str, str] = {}
    data = _normalise_version(data)
    data = _rename_lists(data, moved)
    data, conflicts = _merge_training(data, moved)
    return data, moved, problems + conflicts


def _normalise_version(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"version": "3.0"} if data.get("version") in (3, 3.0) else data


def _version_problems(data: dict[str, Any]) -> list[UnplacedProblem]:
    if isinstance(data.get("indicators"), tuple):
        return [
            (
                "/indicators",
                "a list of indicators belongs to version 2; in version 3 each has a name: rsi_14: {type: rsi}",
            )
        ]
    return []


def _label_problems(data: dict[str, Any]) -> list[UnplacedProblem]:
    training = data.get("training")
    labels = training.get("labels") if isinstance(training, dict) else None
    source = labels.get("source") if isinstance(labels, dict) else None
    if isinstance(source, str) and source in _UNKNOWN_LABELS:
        return [("/training/labels/source", _UNKNOWN_LABELS[source])]
    return []


def _rename_lists(data: dict[str, Any], moved: dict[str, str]) -> dict[str, Any]:
    """Rename the inner key of `symbols: {symbols: [...]}` and `timeframes: {timeframes: [...]}` to `list`."""
    section = data.get("training_data")
    if not isinstance(section, dict):
        return data
    section = dict(section)
    for name in ("symbols", "timeframes"):
        part = section.get(name)
        if isinstance(part, dict) and name in part and "list" not in part:
            section[name] = {("list" if key == name else key): value for key, value in part.items()}
            moved[pointer("training_data", name, "list")] = pointer("training_data", name, name)
    return data | {"training_data": section}


def _merge_training(
    data: dict[str, Any], moved: dict[str, str]
) -> tuple[dict[str, Any], list[UnplacedProblem]]:
    """Move the keys of `model.training` to `training`; a key may appear in only one of them."""
    model, training = data.get("model"), data.get("training", {})
    if (
        not isinstance(model, dict)
        or not isinstance(model.get("training"), dict)
        or not isinstance(training, dict)
    ):
        return data, []
    inner: dict[str, Any] = model["training"]
    problems = [
        (pointer("model", "training", key), f"{key} is also set in training; keep one of them")
        for key in inner
        if key in training
    ]
    moved.update({pointer("training", key): pointer("model", "training", key) for key in inner})
    outer = {key: value for key, value in model.items() if key != "training"}
    return data | {"model": outer, "training": inner | training}, problems
