"""Whether a study has spent its time."""

from django.db.models import FloatField
from django.db.models.functions import Cast

from studies.lifecycle import wall_s
from studies.models import Study

SECONDS_PER_HOUR = 3600.0


def spent(study: Study) -> str:
    """Return which budget is spent, as a reason; empty if there is time left."""
    if study.hours is not None and seconds(study) >= study.hours * SECONDS_PER_HOUR:
        return f"the budget of {study.hours:g} hours is spent"
    if study.cpu_hours is not None and study.cpu_ms >= study.cpu_hours * SECONDS_PER_HOUR * 1000:
        return f"the budget of {study.cpu_hours:g} CPU hours is spent"
    return ""


def seconds(study: Study) -> float:
    """Return how many seconds the study has run, by the database's clock."""
    row = (
        Study.objects.filter(pk=study.pk)
        .annotate(ran_s=Cast(wall_s(), FloatField()))
        .values_list("ran_s", flat=True)
    )
    return float(row.get())
