"""Check the status in one condition instead of two, each of which every statement that writes a row reads again."""

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

FITS_END = models.CheckConstraint(
    condition=Q(status__in=["CANCELLING", "DISPATCHING", "PENDING", "RUNNING"], completed_at__isnull=True)
    | Q(status__in=["CANCELLED", "COMPLETED", "FAILED"], completed_at__isnull=False),
    name="operation_status_fits_end",
)


class Migration(migrations.Migration):
    # The rows are read without the lock that the change of the table takes.
    atomic = False

    dependencies = [
        ('operations', '0036_grams_planned_once'),
    ]

    operations = [
        AddConstraintNotValid(model_name='operation', constraint=FITS_END),
        ValidateConstraint(model_name='operation', name='operation_status_fits_end'),
        migrations.RemoveConstraint(model_name='operation', name='operation_status_known'),
        migrations.RemoveConstraint(model_name='operation', name='operation_ended_when'),
    ]
