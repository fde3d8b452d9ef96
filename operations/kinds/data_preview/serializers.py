"""The shape of a preview, for the API document."""

from rest_framework import serializers


class ChoiceSerializer(serializers.Serializer[object]):
    value = serializers.CharField()
    reason = serializers.CharField()
    runner_up = serializers.CharField(allow_blank=True)


class RowSerializer(serializers.Serializer[object]):
    time = serializers.DateTimeField(help_text="UTC, the open of the bar")
    local_time = serializers.CharField(help_text="in `local_zone`")
    open = serializers.FloatField()
    high = serializers.FloatField()
    low = serializers.FloatField()
    close = serializers.FloatField()
    volume = serializers.FloatField()
    spread = serializers.FloatField(required=False)


class PreviewSerializer(serializers.Serializer[object]):
    preview = serializers.CharField(help_text="id that `POST /market-data` accepts in place of the file")
    symbol = serializers.CharField()
    timeframe = serializers.CharField()
    layout = serializers.CharField()
    encoding = serializers.CharField(allow_blank=True)
    delimiter = serializers.CharField(allow_blank=True)
    decimal = serializers.CharField()
    thousands = serializers.CharField(allow_blank=True)
    times = serializers.CharField(help_text="the form in which the file writes times")
    timezone = ChoiceSerializer()
    stamped = ChoiceSerializer()
    calendar = ChoiceSerializer()
    notes = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField())
    ignored_columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.IntegerField(allow_null=True, help_text="null if counting takes long")
    is_complete = serializers.BooleanField(
        help_text="whether all rows were read, or only the first and last ones"
    )
    local_zone = serializers.CharField()
    first = RowSerializer(many=True)
    last = RowSerializer(many=True)
