"""Serializers of the API of studies."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from studies import budgets
from studies.models import Study, StudyTrial
from studies.plan_serializers import PlanSerializer
from studies.states import LIVE

Json = dict[str, Any]


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnyJson(serializers.JSONField):
    """A JSON object."""


class SubmittedStudySerializer(serializers.Serializer[Study]):
    study_id = serializers.CharField()
    status = serializers.CharField()
    url = serializers.SerializerMethodField()
    plan = serializers.SerializerMethodField()

    @extend_schema_field(PlanSerializer(allow_null=True))
    def get_plan(self, study: Study) -> Json | None:
        """Return the plan from the context; a repeated submission has none."""
        plan: Json | None = self.context.get("plan")
        return plan

    def get_url(self, study: Study) -> str:
        path = f"/studies/{study.study_id}"
        request = self.context.get("request")
        return str(request.build_absolute_uri(path)) if request else path


def _numbers(*names: str, may_be_null: bool = False) -> Json:
    number: Json = {"type": ["number", "null"] if may_be_null else "number"}
    return {"type": "object", "properties": dict.fromkeys(names, number), "required": list(names)}


BEST = {
    "type": ["object", "null"],
    "properties": {
        "number": {"type": "integer"},
        "value": {"type": ["number", "null"]},
        "parameters": {
            "type": "object",
            "description": "of one study, not in the list",
            "additionalProperties": True,
        },
    },
    "required": ["number", "value"],
}


class StudySerializer(serializers.ModelSerializer[Study]):
    """The counters of a study; `GET /studies/{id}` adds the spec, the best trial and the report."""

    status = serializers.CharField()
    trials = serializers.SerializerMethodField()
    best = serializers.SerializerMethodField()
    spent = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    verdict = serializers.SerializerMethodField()
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = Study
        fields: tuple[str, ...] = (
            "study_id", "name", "kind", "status", "waiting_reason", "created_at", "ended_at", "created_by", "priority",
            "trials", "best", "spent", "progress", "verdict",
        )  # fmt: skip

    @extend_schema_field(_numbers("planned", "proposed", "running", "completed", "failed", "stopped_early"))
    def get_trials(self, study: Study) -> dict[str, int]:
        return counters(study)

    @extend_schema_field(BEST)
    def get_best(self, study: Study) -> Json | None:
        if study.best_number is None:
            return None
        return {"number": study.best_number, "value": study.best_value}

    @extend_schema_field(_numbers("cpu_s", "wall_s"))
    def get_spent(self, study: Study) -> dict[str, float]:
        return {"cpu_s": round(study.cpu_ms / 1000, 3), "wall_s": round(budgets.seconds(study), 3)}

    @extend_schema_field(_numbers("percentage", "eta_seconds", may_be_null=True))
    def get_progress(self, study: Study) -> dict[str, float | None]:
        return progress_of(study)

    def get_verdict(self, study: Study) -> str | None:
        return None if study.report is None else str(study.report["verdict"])


class StudyDetailSerializer(StudySerializer):
    """A study with its spec, its data and its report."""

    spec = AnyJson()
    report = AnyJson(allow_null=True)
    report_operation = serializers.CharField(source="reporter_id", allow_null=True)
    model = serializers.CharField(source="model_id", allow_null=True)
    warnings = serializers.SerializerMethodField()

    class Meta(StudySerializer.Meta):
        fields = (
            *StudySerializer.Meta.fields, "spec", "data", "start_date", "end_date", "model", "parallel", "hours",
            "cpu_hours", "holdout_looks", "counted_before", "report", "report_operation", "strategy_yaml", "study_yaml",
            "optimizer_version", "warnings",
        )  # fmt: skip

    @extend_schema_field(BEST)
    def get_best(self, study: Study) -> Json | None:
        best = super().get_best(study)
        if best is not None:
            row = study.trials.only("parameters").get(number=best["number"])
            best["parameters"] = row.parameters
        return best

    def get_warnings(self, study: Study) -> list[dict[str, str]]:
        return warnings_of(study)


def warnings_of(study: Study) -> list[dict[str, str]]:
    """Return what makes the trials of a study differ from those of the same study elsewhere."""
    versions = study.optimizer_version.split(", ")
    if len(versions) < 2:
        return []
    message = f"Optuna {versions[-2]} proposed the first trials and {versions[-1]} the later ones: the same study may try other points elsewhere."
    return [{"code": "optimizer_changed", "message": message}]


@extend_schema_serializer(component_name="StudyTrial")
class TrialSerializer(serializers.ModelSerializer[StudyTrial]):
    state = serializers.CharField()
    parameters = AnyJson()
    scores = AnyJson()

    class Meta:
        model = StudyTrial
        fields: tuple[str, ...] = (
            "number", "state", "parameters", "value", "scores", "rung", "cpu_ms", "error"
        )  # fmt: skip


def counters(study: Study) -> dict[str, int]:
    return {
        "planned": study.planned,
        "proposed": study.proposed,
        "running": study.running,
        "completed": study.completed,
        "failed": study.failed,
        "stopped_early": study.stopped_early,
    }


def progress_of(study: Study) -> dict[str, float | None]:
    """Return the share of trials that have ended, and the seconds left at the pace so far."""
    percentage = 100.0 * study.ended / study.planned if study.planned else 0.0
    eta = None
    if study.status in LIVE and study.ended:
        eta = budgets.seconds(study) / study.ended * (study.planned - study.ended)
    return {"percentage": round(percentage, 2), "eta_seconds": None if eta is None else round(eta, 1)}
