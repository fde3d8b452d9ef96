from studies.models.batch import StudyBatch
from studies.models.event import StudyEvent
from studies.models.study import Study, StudyCount, StudyFile
from studies.models.trial import StudyTrial, TrialState

__all__ = ["Study", "StudyBatch", "StudyCount", "StudyEvent", "StudyFile", "StudyTrial", "TrialState"]
