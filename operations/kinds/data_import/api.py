"""Market data: coverage, import and deletion."""

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.actors import Actor
from access.body_limits import FORM_OVERHEAD, accept_bodies
from access.json_bodies import BoundedJSONParser
from access.problems import Conflict, CursorPagination
from access.roles import Role
from operations import market_data
from operations.api import examples
from operations.api.base import IDEMPOTENCY_KEY, accepted_response, submitter
from operations.api.serializers import MarketDataSerializer, SubmittedSerializer
from operations.api.stored_responses import file_response
from operations.kinds.data_import.kind import build
from operations.kinds.data_import.upload_schema import upload_schema
from operations.kinds.data_import.uploads import receive
from operations.models import MarketData
from operations.received_files import MAX_FILE_BYTES
from operations.submission import find_repeat, submit


class BySymbol(CursorPagination):
    ordering = ("symbol", "timeframe")


@accept_bodies(MAX_FILE_BYTES + FORM_OVERHEAD)
class MarketDataList(ListAPIView[MarketData]):
    serializer_class = MarketDataSerializer
    pagination_class = BySymbol
    parser_classes = (MultiPartParser, FormParser, BoundedJSONParser)

    def get_queryset(self) -> Any:
        return MarketData.objects.select_related("file")

    @extend_schema(
        request={"multipart/form-data": upload_schema(file_required=False)},
        responses={202: SubmittedSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[examples.ACCEPTED],
    )
    def post(self, request: Request) -> Response:
        """Stores the file and submits its import; a worker checks it and stores the bars.

        `preview` with the id of a preview replaces the file.
        """
        upload = receive(request)
        by = submitter(request, {**upload.fields, "file": upload.file.sha256})
        operation = find_repeat(by) or submit(build(upload.request, upload.file, upload.filename), by)
        return accepted_response(request, operation)


class MarketDataOf(APIView):
    roles: ClassVar = {"DELETE": Role.STAFF}

    @extend_schema(responses=MarketDataSerializer)
    def get(self, request: Request, symbol: str, timeframe: str) -> Response:
        """Return the coverage and quality of the bars."""
        return Response(MarketDataSerializer(_row_or_404(symbol, timeframe)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, symbol: str, timeframe: str) -> Response:
        """Forgets the bars. 409 while an operation that has not ended reads them."""
        try:
            market_data.remove(
                symbol.replace("\x00", ""), timeframe.replace("\x00", ""), Actor.from_request(request)
            )
        except MarketData.DoesNotExist as error:
            raise NotFound(f"No market data for {symbol} {timeframe}.") from error
        except market_data.MarketDataInUse as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class ChartOfMarketData(APIView):
    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, symbol: str, timeframe: str) -> HttpResponseBase:
        """Return the tiles of the chart, or the byte range that `Range` names (docs/market-data.md)."""
        row = _row_or_404(symbol, timeframe)
        if row.chart_id is None:
            raise NotFound(f"No chart of {symbol} {timeframe}.")
        return file_response(row.chart_id, "chart.bin", request)


class BarsOf(APIView):
    @extend_schema(
        operation_id="market_data_bars", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, symbol: str, timeframe: str) -> HttpResponseBase:
        """Return the bars as Parquet: `time` (UTC, the open of the bar), `open`, `high`, `low`, `close`, `volume`."""
        return file_response(_row_or_404(symbol, timeframe).file_id, f"{symbol}_{timeframe}.parquet", request)


def _row_or_404(symbol: str, timeframe: str) -> MarketData:
    rows = MarketData.objects.select_related("file")
    row = rows.filter(symbol=symbol.replace("\x00", ""), timeframe=timeframe.replace("\x00", "")).first()
    if row is None:
        raise NotFound(f"No market data for {symbol[:80]} {timeframe[:80]}.")
    return row


urlpatterns = [
    path("market-data", MarketDataList.as_view(), name="market-data"),
    path("market-data/<str:symbol>/<str:timeframe>", MarketDataOf.as_view(), name="market-data-of"),
    path("market-data/<str:symbol>/<str:timeframe>/chart", ChartOfMarketData.as_view(), name="chart-of"),
    path("market-data/<str:symbol>/<str:timeframe>/bars", BarsOf.as_view(), name="market-data-bars"),
]
