from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0028_schedules_of_users")]

    operations = [
        migrations.AddField(
            "dispatchpause", "read_only", models.BooleanField(default=False, db_default=False)
        )
    ]
