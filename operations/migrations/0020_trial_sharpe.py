from django.db import migrations, models


class Migration(migrations.Migration):
    """The Sharpe ratio of each trial, for the variance of the trials on the same data."""

    dependencies = [('operations', '0019_metrics_of_existing_runs')]

    operations = [
        migrations.AddField(
            model_name='trial',
            name='sharpe',
            field=models.FloatField(
                help_text='per observation, not annualized; empty if the trial has not completed since version 0.3',
                null=True,
            ),
        ),
    ]
