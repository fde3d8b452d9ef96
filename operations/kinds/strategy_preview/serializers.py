"""The shape of a strategy preview, for the API document."""

from rest_framework import serializers


class CurveSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))


class FuzzyCurvesSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    members = CurveSerializer(many=True)


class DeadInputSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True, help_text="null if it has no value at any bar")


class ConditionSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    bars = serializers.IntegerField(help_text="at which it holds")
    share = serializers.FloatField()


class PartSerializer(serializers.Serializer[object]):
    name = serializers.CharField()
    rows = serializers.IntegerField()
    first = serializers.DateField(required=False)
    last = serializers.DateField(required=False)
    balance = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="class -> share of the rows"
    )
    mean = serializers.FloatField(required=False, help_text="of the label, if it is a return")
    deviation = serializers.FloatField(required=False)


class StrategyPreviewSerializer(serializers.Serializer[object]):
    symbol = serializers.CharField()
    timeframe = serializers.CharField()
    bars = serializers.IntegerField(help_text="newest bars that were read, at most 4,000")
    first = serializers.DateField()
    last = serializers.DateField()
    drawn_from = serializers.DateField(help_text="day of the first value of the curves")
    close = serializers.ListField(child=serializers.FloatField())
    indicators = CurveSerializer(many=True)
    fuzzy = FuzzyCurvesSerializer(many=True)
    dead_inputs = DeadInputSerializer(many=True)
    is_trained = serializers.BooleanField()
    conditions = ConditionSerializer(many=True, required=False, help_text="of a rules strategy")
    held = serializers.DictField(
        child=serializers.FloatField(), required=False, help_text="direction -> share of the bars"
    )
    entries = serializers.IntegerField(required=False)
    parts = PartSerializer(many=True, required=False, help_text="rows to train on, of a trained strategy")
    purged = serializers.IntegerField(required=False)
    left_out = serializers.DictField(child=serializers.IntegerField(), required=False)
