"""Counts the trials of a study for every later result on the same data: all studies with one spec count once."""

from django.db.models import F

from operations.models import TrialCount
from studies.models import Study, StudyCount


def count_trials(study: Study) -> None:
    """Add the study's trials to the counts of its base timeframe, as far as its spec was not counted before.

    The rows of both counts stay locked until the transaction ends.
    """
    trials = study.completed + study.stopped_early
    for symbol in sorted({row["symbol"] for row in study.data}):
        data = {"symbol": symbol, "timeframe": study.base_timeframe}
        StudyCount.objects.get_or_create(spec_sha256=study.spec_sha256, **data, defaults={"trials": 0})
        counted = StudyCount.objects.select_for_update().get(spec_sha256=study.spec_sha256, **data)
        added = max(0, trials - counted.trials)
        StudyCount.objects.filter(pk=counted.pk).update(trials=F("trials") + added)
        TrialCount.objects.get_or_create(**data, defaults={"trials": 0})
        TrialCount.objects.filter(**data).update(trials=F("trials") + added)
