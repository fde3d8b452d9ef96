"""Strategies: the catalog of allowed elements, and validation."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import BaseParser, FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.json_bodies import BoundedJSONParser
from access.problems import body
from access.roles import Role
from operations import strategies
from workers.strategy.catalog import catalog_as_data
from workers.strategy.expressions.functions import functions_as_data
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.section_catalog import sections_as_data


class TextParser(BaseParser):
    """Reads a strategy sent as plain text, with any content type other than a form or JSON."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read().decode("utf-8", "replace")


class Catalog(APIView):
    @extend_schema(responses={(200, "application/json"): {"type": "object", "additionalProperties": True}})
    def get(self, request: Request) -> Response:
        """List what a strategy may use: sections with their keys, timeframes, price sources, indicators, fuzzy sets, functions of expressions."""
        catalog = {
            **catalog_as_data(INDICATORS),
            "functions": functions_as_data(),
            "sections": sections_as_data(),
        }
        return Response(catalog)


class StrategyNeedsSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    name = serializers.CharField()
    is_trained = serializers.BooleanField(help_text="false for a rules strategy, which needs no model")
    inputs = serializers.ListField(child=serializers.CharField())
    warm_up_bars = serializers.IntegerField()
    warnings = serializers.ListField(child=serializers.CharField())
    symbols = serializers.ListField(child=serializers.CharField())
    timeframes = serializers.ListField(child=serializers.CharField())


class ValidateStrategy(APIView):
    roles: ClassVar = {"POST": Role.VIEWER}
    parser_classes = (BoundedJSONParser, FormParser, MultiPartParser, TextParser)

    @extend_schema(
        request=inline_serializer("StrategyText", {"strategy_yaml": serializers.CharField()}),
        responses=StrategyNeedsSerializer,
    )
    def post(self, request: Request) -> Response:
        """Validate YAML text or `{"strategy_yaml"}`: return what the strategy needs, or 422 with line and column of each error."""
        data: object = request.data
        text = data if isinstance(data, str) else body(request).get("strategy_yaml")
        needs = strategies.read(text if isinstance(text, str) else "", "/strategy_yaml")
        return Response(
            {
                "valid": True,
                "name": needs.name,
                "is_trained": needs.is_trained,
                "inputs": list(needs.inputs),
                "warm_up_bars": needs.warm_up_bars,
                "warnings": list(needs.warnings),
                "symbols": list(needs.symbols),
                "timeframes": list(needs.timeframes),
            }
        )
