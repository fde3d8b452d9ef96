"""Repairs timestamps that lie in the future because the database's clock was set back.

Nothing in the system is planned for later than its longest pause. Without the repair everything that waits for such a
moment would wait as long as the step was. A step forward needs no repair: everything is due at once.
"""

from django.db.models.functions import Now

from registry import operations_port
from registry.models import Sweep, Worker

COLUMNS = ("unavailable_since", "last_selected_at", "last_healthy_at", "registered_at")


def repair_timestamps() -> int:
    """Set timestamps of the future to now; return how many workers and operations were repaired.

    A sweep that has completed in the future proves the step; without one nothing is looked at.
    """
    if not Sweep.objects.filter(kind=Sweep.Kind.HEALTH, completed_at__gt=Now()).exists():
        return 0
    repaired = 0
    for column in COLUMNS:
        repaired += Worker.objects.filter(**{f"{column}__gt": Now()}).update(**{column: Now()})
    return repaired + operations_port.operations().repair_timestamps()
