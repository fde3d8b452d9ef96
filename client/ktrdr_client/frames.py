"""DataFrames of what the server returns. Importing pandas and pyarrow takes long, so the functions do it that need them."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from ktrdr_client.problems import ClientError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("operation_id", "operation_type", "status", "symbol", "created_at", "completed_at")
RUN_FIELDS = ("operation_id", "operation_type", "status", "title", "subject", "created_at", "created_by")
TIME_COLUMNS = ("time", "entry_time", "exit_time")


class HasData(Protocol):
    """An operation."""

    data: dict[str, Any]


def results(operations: Iterable[HasData]) -> "pd.DataFrame":
    """Return one row per operation, indexed by its id: type, status, symbol, times, and each metric of its result.

    Raises ClientError if an operation was listed without its result.
    """
    import pandas as pd

    rows = [_row(operation.data) for operation in operations]
    frame = pd.DataFrame(rows, columns=None if rows else list(COLUMNS))
    for name in ("created_at", "completed_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.set_index("operation_id")


def result_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result in the state of an operation; empty until it has completed. Raises ClientError for a row of a list."""
    if data.get("status") == "COMPLETED" and "result" not in data:
        raise ClientError(
            f"Call refresh() of operation {data['operation_id']} first: lists contain no results."
        )
    return data.get("result") or {}


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    parameters = data.get("parameters") or {}
    symbols = parameters.get("symbols") or [parameters.get("symbol") or ""]
    row = {name: data.get(name) for name in COLUMNS} | {"symbol": " ".join(map(str, symbols))}
    metrics = result_of(data).get("metrics")
    return row | (flatten(metrics) if isinstance(metrics, dict) else {})


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values with dotted names: `test.accuracy`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def bars(content: bytes) -> "pd.DataFrame":
    """Return bars indexed by the UTC time of their opens."""
    return parquet(content).set_index("time")


def parquet(content: bytes) -> "pd.DataFrame":
    import pyarrow.parquet as pq

    frame: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas()
    return frame


def table(name: str, content: bytes) -> "pd.DataFrame":
    """Return the table of a file by its ending. Raises ValueError for other files than Parquet, CSV and JSON."""
    import pandas as pd

    match PurePosixPath(name).suffix:
        case ".parquet":
            return parquet(content)
        case ".csv":
            frame = pd.read_csv(io.BytesIO(content))
            times = [column for column in TIME_COLUMNS if column in frame]
            frame[times] = frame[times].apply(pd.to_datetime, utc=True)
            return frame
        case ".json":
            return pd.DataFrame(json.loads(content))
    raise ValueError(f"{name[:80]} is not a table; read its bytes with `artifact`")


def coverage(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per symbol and timeframe with the times of its first and last bar."""
    import pandas as pd

    columns = None if rows else ["symbol", "timeframe", "rows", "start", "end"]
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("start", "end"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def points(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return metric points as one column per metric, indexed by step."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=["step", "name", "value"])
    return frame.pivot_table(index="step", columns="name", values="value", aggfunc="last")


def trials(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per trial, indexed by its number: state, value, each parameter and each score."""
    import pandas as pd

    flat = [
        {
            **{name: row[name] for name in ("number", "state", "value", "cpu_ms")},
            **row["parameters"],
            **{f"score.{name}": value for name, value in row["scores"].items()},
            "error": row["error"],
        }
        for row in rows
    ]
    columns = None if flat else ["number", "state", "value", "cpu_ms", "error"]
    return pd.DataFrame(flat, columns=columns).set_index("number")


def spread(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per figure of a seed run, indexed by operation type and name."""
    import pandas as pd

    figures = ["count", "minimum", "median", "mean", "maximum", "deviation"]
    frame = pd.DataFrame(rows, columns=["operation_type", "name", *figures])
    return frame.astype({"deviation": float}).set_index(["operation_type", "name"])


def runs(rows: Sequence[Mapping[str, Any]], *, all_settings: bool = False) -> "pd.DataFrame":
    """Return one row per run, indexed by its id: fields, metrics, and the settings that differ, or all of them.

    A setting has the name of its parameter, after `parameters.` where a field or metric is called the same, or `strategy.` and
    the path of a value of the strategy. Lists are JSON, so that the table can be written as Parquet; a setting with values
    of several types is text.
    """
    import pandas as pd

    names = dict.fromkeys(name for row in rows for name in row["settings"])
    settings = {name: [_comparable(row["settings"].get(name)) for row in rows] for name in names}
    shown = {
        name: _one_type(values)
        for name, values in settings.items()
        if all_settings or any(value != values[0] for value in values)
    }
    fields = [
        {**{name: row[name] for name in RUN_FIELDS}, "tags": " ".join(row["tags"]), **row["metrics"]}
        for row in rows
    ]
    frame = pd.DataFrame(fields, columns=None if fields else [*RUN_FIELDS, "tags"])
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True, format="ISO8601")
    metrics = {name: float for row in rows[:1] for name in row["metrics"]}
    frame = frame.astype(metrics)
    columns = {f"parameters.{name}" if name in frame else name: values for name, values in shown.items()}
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1).set_index("operation_id")


def _comparable(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _one_type(values: list[Any]) -> list[Any]:
    """Return numbers, booleans or texts; texts if there are several types."""
    types = {float if type(value) is int else type(value) for value in values if value is not None}
    if len(types) <= 1:
        return values
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]


def growth(curves: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return the growth of 1 of each trial, one column per number, indexed by UTC day."""
    import pandas as pd

    series = {
        curve["number"]: pd.Series(curve["growth"], index=pd.to_datetime(curve["time"], utc=True))
        for curve in curves
    }
    return pd.DataFrame(series).sort_index()


def fan(section: Mapping[str, Any]) -> "pd.DataFrame":
    """Return the growth of 1 over the paths of a cross-validation: its 5 %, 50 % and 95 % quantiles by UTC day."""
    import pandas as pd

    columns = {name: section[name] for name in ("low", "median", "high")}
    return pd.DataFrame(columns, index=pd.to_datetime(section["time"], utc=True))


def windows(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per window of a walk-forward: days, the winner of the training part and its parameters."""
    import pandas as pd

    flat = [
        {
            "train_from": row["train"][0] if row["train"] else None,
            "train_to": row["train"][1] if row["train"] else None,
            "test_from": row["test"][0] if row["test"] else None,
            "test_to": row["test"][1] if row["test"] else None,
            **{name: row[name] for name in ("number", "train_sharpe", "test_sharpe", "test_return")},
            **row["point"],
        }
        for row in rows
    ]
    return pd.DataFrame(flat)
