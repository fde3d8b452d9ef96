from studies.models.batch import FINALIST_RUNG, StudyBatch
from studies.models.event import StudyEvent
from studies.models.study import Study, StudyCount, StudyFile
from studies.models.trial import StudyTrial, TrialState

__all__ = [
    "FINALIST_RUNG",
    "Study",
    "StudyBatch",
    "StudyCount",
    "StudyEvent",
    "StudyFile",
    "StudyTrial",
    "TrialState",
]
