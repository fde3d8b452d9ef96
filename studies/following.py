"""Follows a study until it ends, like `operations.following` an operation."""

import time
from typing import IO

from operations.following import DETACHED, Snapshot, display
from studies.models import Study
from studies.states import LIVE, StudyStatus

POLL_S = 1.0
EXIT = {StudyStatus.COMPLETED: 0, StudyStatus.FAILED: 1, StudyStatus.CANCELLED: 3}


def follow_until_detached(study_id: str, stream: IO[str]) -> int:
    """Follow until the study ends; on Ctrl-C leave it running. Return the exit status: 0 completed, 1 failed, 3 cancelled."""
    try:
        with display(stream) as progress_display:
            while (study := Study.objects.get(study_id=study_id)).status in LIVE:
                progress_display.show(snapshot_of(study))
                time.sleep(POLL_S)
            progress_display.show(snapshot_of(study))
    except KeyboardInterrupt:
        stream.write(f"\nDetached; the study {study_id} continues.\n")
        return DETACHED
    stream.write(f"{summary_of(study)}\n")
    return EXIT[StudyStatus(study.status)]


def snapshot_of(study: Study) -> Snapshot:
    detail = study.waiting_reason or f"{study.ended:,} of {study.planned:,} trials"
    percentage = 100.0 * study.ended / study.planned
    return Snapshot(study.study_id, f"study {study.study_id}", study.status, percentage, detail)


def summary_of(study: Study) -> str:
    """Return the outcome in one line: the verdict and the best trial."""
    verdict = f"verdict {study.report['verdict']}" if study.report else study.waiting_reason or study.status
    if study.best_number is None:
        return f"{verdict}; no trial has a value"
    return f"{verdict}; best trial {study.best_number} with {study.best_value:.4g}"
