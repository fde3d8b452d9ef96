from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0026_dispatch_pause")]

    operations = [
        migrations.AddField(
            "dispatchpause", "read_only", models.BooleanField(default=False, db_default=False)
        )
    ]
