"""Follow operations and studies on the terminal, with their live metrics."""

import time
from argparse import Namespace

from ktrdr_client.cli.output import DETACHED, EXIT, show, warn
from ktrdr_client.problems import ClientError, ProblemError, StudyFailed
from ktrdr_client.progress import display, state_of_operation
from ktrdr_client.sync.client import Client
from ktrdr_client.sync.operations import Operation
from ktrdr_client.sync.studies import Study

POLL_S = 1.0


def follow(client: Client, options: Namespace) -> int:
    """Follow an operation or a study by its id; return the exit status."""
    try:
        operation = client.operations.get(options.id)
    except ProblemError as problem:
        if problem.status != 404:
            raise
    else:
        return follow_operation(operation)
    try:
        study = client.studies.get(options.id)
    except ProblemError as problem:
        if problem.status != 404:
            raise
        raise ClientError(f"Unknown operation or study: {options.id[:80]}.") from problem
    return follow_study(study)


def follow_operation(operation: Operation) -> int:
    """Show progress and metrics until the operation has ended; Ctrl-C leaves it running."""
    try:
        _until_ended(operation)
    except KeyboardInterrupt:
        return _detach(operation.id)
    if error := operation.data.get("error"):
        warn(f"{operation.id} failed ({error['class']}): {error['message']}")
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
