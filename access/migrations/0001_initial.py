"""The audit trail and the counters of failed attempts move here from `registry`; their tables keep their names."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

ACTS = [
    ("worker_cordoned", "cordoned"),
    ("worker_drained", "drained"),
    ("worker_uncordoned", "uncordoned"),
    ("worker_removed", "removed"),
    ("api_token_created", "API token created"),
    ("api_token_revoked", "API token revoked"),
    ("enrolment_token_created", "enrolment token created"),
    ("enrolment_token_revoked", "enrolment token revoked"),
    ("market_data_deleted", "market data deleted"),
    ("subscription_created", "notification created"),
    ("subscription_changed", "notification changed"),
    ("subscription_paused", "notification paused"),
    ("subscription_continued", "notification continued"),
    ("subscription_tested", "notification tested"),
    ("subscription_secret_changed", "notification's secret changed"),
    ("subscription_deleted", "notification deleted"),
]


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("registry", "0003_audited_notifications"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="AuditEntry",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                        ("act", models.CharField(choices=ACTS, max_length=32)),
                        ("subject", models.CharField(help_text="the worker's id, the token's name and owner, ...", max_length=200)),
                        ("actor", models.CharField(help_text="user:NAME, command", max_length=200)),
                        ("address", models.GenericIPAddressField(blank=True, help_text="where the request came from", null=True)),
                        ("reason", models.CharField(blank=True, max_length=1000)),
                        ("user", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                    ],
                    options={
                        "db_table": "registry_auditentry",
                        "verbose_name_plural": "audit entries",
                        "indexes": [models.Index(fields=["subject", "-id"], name="audit_of_subject")],
                    },
                ),
                migrations.CreateModel(
                    name="Failures",
                    fields=[
                        ("key", models.CharField(max_length=250, primary_key=True, serialize=False)),
                        ("level", models.FloatField(help_text="at `updated_at`")),
                        ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ],
                    options={"db_table": "registry_failures", "verbose_name_plural": "failures"},
                ),
            ],
        ),
    ]
