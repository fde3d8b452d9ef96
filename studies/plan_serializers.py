"""The shape of a plan, for the API document."""

from typing import Any

from rest_framework import serializers


class ExpectedSerializer(serializers.Serializer[Any]):
    workers = serializers.IntegerField()
    cpu_hours = serializers.FloatField(allow_null=True)
    hours = serializers.FloatField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        of_runs = serializers.CharField(help_text="the earlier runs from which the hours are known")
        return {**super().get_fields(), "from": of_runs}


class PlanWarningSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class PlanSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    name = serializers.CharField()
    kind = serializers.CharField()
    trials = serializers.IntegerField()
    folds = serializers.IntegerField()
    runs = serializers.IntegerField()
    expected = ExpectedSerializer()
    counted_before = serializers.IntegerField(help_text="trials that were counted on this data before")
    needed_sharpe = serializers.FloatField(
        allow_null=True, help_text="annual ratio that the best of all counted trials reaches without skill"
    )
    warnings = PlanWarningSerializer(many=True)
