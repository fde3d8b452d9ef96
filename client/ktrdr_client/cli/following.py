"""Follow operations and studies on the terminal, with their live metrics."""

import time
from argparse import Namespace
from collections.abc import Callable
from typing import TypeVar

from ktrdr_client.cli.output import COMPLETED, DETACHED, EXIT, show, show_table, warn
from ktrdr_client.problems import ClientError, ProblemError, StudyFailed
from ktrdr_client.progress import display, state_of_operation
from ktrdr_client.sync.client import Client
from ktrdr_client.sync.operations import Operation
from ktrdr_client.sync.seed_runs import SeedRun
from ktrdr_client.sync.studies import Study

POLL_S = 1.0
FIGURES = ("minimum", "median", "mean", "maximum", "deviation")
Found = TypeVar("Found")


def follow(client: Client, options: Namespace) -> int:
    """Follow an operation, a study or a seed run by its id; return the exit status."""
    if (operation := _find(client.operations.get, options.id)) is not None:
        return follow_operation(operation)
    if (study := _find(client.studies.get, options.id)) is not None:
        return follow_study(study)
    if (seed_run := _find(client.seed_runs.get, options.id)) is not None:
        return follow_seed_run(seed_run)
    raise ClientError(f"Unknown operation, study or seed run: {options.id[:80]}.")


def _find(get: Callable[[str], Found], name: str) -> Found | None:
    try:
        return get(name)
    except ProblemError as problem:
        if problem.status != 404:
            raise
    return None


def follow_operation(operation: Operation) -> int:
    """Show progress and metrics until the operation has ended, then its result; Ctrl-C leaves it running."""
    try:
        _until_ended(operation)
    except KeyboardInterrupt:
        return _detach(operation.id)
    for title, text in operation.result_values():
        show(f"{title}: {text}")
    _warn_of_failure(operation)
    return EXIT[operation.status]


def follow_study(study: Study) -> int:
    """Show the progress until the study has ended or pauses; Ctrl-C leaves it running."""
    try:
        study.follow()
    except KeyboardInterrupt:
        return _detach(study.id)
    except StudyFailed as failure:
        if study.status == "PAUSED":
            warn(str(failure))
    if study.verdict is not None:
        best = study.best or {}
        show(f"{study.id}  {study.verdict}  best trial {best.get('number')}: {best.get('value')}")
    return EXIT.get(study.status, EXIT["FAILED"])


def follow_seed_run(seed_run: SeedRun) -> int:
    """Show progress, then the spread of each figure over the seeds; Ctrl-C leaves it running."""
    try:
        seed_run.wait(progress=True, check=False)
    except KeyboardInterrupt:
        return _detach(seed_run.id)
    cells = [
        (row["operation_type"], row["name"], row["count"], *(_number(row[name]) for name in FIGURES))
        for row in seed_run.data["spread"]
    ]
    show_table(("TYPE", "FIGURE", "COUNT", *map(str.upper, FIGURES)), cells)
    for operation in seed_run.operations:
        _warn_of_failure(operation)
    statuses = {operation.status for operation in seed_run.operations}
    return next((EXIT[status] for status in ("FAILED", "CANCELLED") if status in statuses), COMPLETED)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _warn_of_failure(operation: Operation) -> None:
    if error := operation.data.get("error"):
        warn(f"{operation.id} failed ({error['class']}): {error['message']}")


def _until_ended(operation: Operation) -> None:
    cursor, values = 0, dict[str, float]()
    with display(progress=True) as shown:
        while True:
            operation.refresh()
            for row in operation.newer("metrics", cursor):
                cursor, values[row["name"]] = row["seq"], row["value"]
            state = state_of_operation(operation.data)
            metrics = "  ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()))
            shown.show([state | {"detail": f"{state['detail']} {metrics}".strip()}])
            if operation.is_final:
                return
            time.sleep(POLL_S)


def _detach(name: str) -> int:
    warn(f"\nDetached; it continues. Follow it again with: ktrdr follow {name}")
    return DETACHED
