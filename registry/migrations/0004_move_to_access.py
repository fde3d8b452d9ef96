"""The audit trail and the counters of failed attempts are models of `access` now; no table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_audited_notifications"),
        ("access", "0001_initial"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel(name="AuditEntry"),
                migrations.DeleteModel(name="Failures"),
            ],
        ),
    ]
