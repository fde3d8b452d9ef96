"""Strategy preview: a worker computes what a strategy sees and does on the newest bars, while somebody writes it.

The backend computes nothing, so the preview is an operation like any other. It runs in a process that its worker forks from
loaded libraries, and takes a few tenths of a second.
"""

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from access.problems import invalid
from operations import market_data, strategies
from operations.kind import Kind
from operations.requests import (
    LARGEST,
    DateRange,
    GenericRequest,
    Queueing,
    StrategyText,
    Submission,
    Symbol,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.urls import URLPattern

OPERATION_TYPE = "strategy_preview"


class PreviewRequest(BaseModel):
    """The body of `POST /strategies/preview`."""

    model_config = ConfigDict(extra="forbid")

    strategy_yaml: StrategyText
    symbol: Symbol | None = None
    """Defaults to the strategy's first symbol."""
    replaces: str = Field(default="", max_length=128)
    """An earlier preview of the same user, which is cancelled first if it has not ended."""


class PreviewParameters(BaseModel):
    previewed_yaml: str
    """Not `strategy_yaml`: the database counts an operation with that as a run of the strategy."""
    symbol: str


def build(request: PreviewRequest) -> Submission:
    """Somebody waits for the preview, so it starts at once on an idle worker or not at all. Raises Invalid."""
    needs = strategies.read(request.strategy_yaml, "/strategy_yaml")
    symbol = request.symbol or next(iter(needs.symbols), None)
    if symbol is None:
        raise invalid("/symbol", "The strategy lists no symbols; set `symbol`.")
    dates = DateRange()
    bars = market_data.inputs_of([symbol], needs.timeframes, needs.base, dates, "/symbol")
    bars |= market_data.inputs_of(needs.other_symbols, needs.timeframes, needs.base, dates, "/strategy_yaml")
    parameters = {"previewed_yaml": request.strategy_yaml, "symbol": symbol}
    queueing = Queueing(priority=LARGEST, queue=False)
    return Submission(OPERATION_TYPE, parameters, queueing, inputs=bars)


class StrategyPreview(Kind):
    operation_type = OPERATION_TYPE
    worker_type = "backtesting"
    title = "Strategy preview"
    submit_path: ClassVar = "/strategies/preview"
    parameters_model: ClassVar = PreviewParameters
    is_brief: ClassVar = True
    is_preview: ClassVar = True
    is_part: ClassVar = True

    def build_generic(self, request: GenericRequest) -> Submission:
        raise invalid("/operation_type", "Use POST /strategies/preview.")

    def api_urls(self) -> "Sequence[URLPattern]":
        from operations.kinds.strategy_preview.api import urlpatterns

        return urlpatterns
