"""Turns what people ask for into an order: parameters, inputs and requirements that a worker can be sent.

Whatever can be known to be wrong is refused here, with a pointer, before anything is stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from access.problems import Invalid, checked, invalid
from operations import market_data, strategies
from operations.inputs import MODEL_FILES
from operations.models import Artifact, MarketData, Operation, StoredFile
from operations.requests import (
    BacktestRequest,
    Dates,
    GenericRequest,
    ImportRequest,
    Queueing,
    TrainingRequest,
)
from operations.schemas import parameter_errors
from operations.states import Status

TRAINING, BACKTESTING, DATA_IMPORT = "training", "backtesting", "data_import"


@dataclass(frozen=True, slots=True)
class Order:
    operation_type: str
    parameters: dict[str, Any]
    queueing: Queueing = field(default_factory=Queueing)
    prefer_gpu: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)
    """name -> SHA-256 of a stored file"""


def training(asked: TrainingRequest) -> Order:
    needs = strategies.read(asked.strategy_yaml, "/strategy_yaml")
    symbols = asked.symbols or needs.symbols
    if not symbols:
        raise invalid("/symbols", "The strategy names no symbols: say here which.")
    timeframes = asked.timeframes or needs.timeframes
    if lacking := sorted(needs.used_timeframes - set(timeframes)):
        raise invalid("/timeframes", f"The strategy's inputs need {', '.join(lacking)} as well.")
    at = "/symbols" if asked.symbols else "/strategy_yaml"
    inputs = _bars(symbols, timeframes, needs.base, asked, at)
    parameters = {
        "strategy_yaml": asked.strategy_yaml,
        "symbols": list(symbols),
        "timeframes": list(timeframes),
        **_dates(asked),
        "seed": asked.seed,
        "device": asked.device,
    }
    return Order(TRAINING, parameters, asked, asked.prefer_gpu, inputs)


def backtest(asked: BacktestRequest) -> Order:
    trained = _training_of(asked) if asked.model else None
    text, at = asked.strategy_yaml, "/strategy_yaml"
    if text is None and trained is not None:
        text, at = str(trained.parameters.get("strategy_yaml", "")), "/model"
    if text is None:
        raise invalid("/model", "Say which training's model is to be tested.")
    needs = strategies.read(text, at)
    if trained is None:
        raise invalid("/model", "A strategy decides by a model: say which training made it.")
    if asked.timeframe not in (None, needs.base):
        raise invalid(
            "/timeframe", f"The model's inputs are built on {needs.base} bars, not on {asked.timeframe}."
        )
    inputs = _bars([asked.symbol], needs.timeframes, needs.base, asked, "/symbol")
    settings = asked.model_dump(
        mode="json", exclude_none=True, exclude={*Queueing.model_fields, *Dates.model_fields}
    )
    parameters = {**settings, "timeframe": needs.base, **_dates(asked)}
    return Order(BACKTESTING, parameters, asked, inputs=inputs)


def data_import(asked: ImportRequest, file: StoredFile, filename: str) -> Order:
    parameters = {
        "symbol": asked.symbol,
        "timeframe": asked.timeframe,
        "adjust": asked.adjust,
        **({"timezone": asked.timezone} if asked.timezone else {}),
        "filename": filename.replace("\x00", "")[-200:],
    }
    return Order(DATA_IMPORT, parameters, Queueing(priority=asked.priority), inputs={"raw": file.sha256})


def generic(asked: GenericRequest) -> Order:
    """Any type that a worker has announced; the types of this product are checked as their own calls check them."""
    if asked.operation_type == DATA_IMPORT:
        raise invalid("/operation_type", "An import needs its file: POST /market-data.")
    queueing = asked.model_dump(include=set(Queueing.model_fields), exclude_unset=True)
    try:
        if asked.operation_type == TRAINING:
            return training(checked(TrainingRequest, {**asked.parameters, **queueing}))
        if asked.operation_type == BACKTESTING:
            return backtest(checked(BacktestRequest, {**asked.parameters, **queueing}))
    except Invalid as problem:
        for error in problem.errors:
            error["pointer"] = f"/parameters{error['pointer']}"
        raise
    if errors := parameter_errors(asked.operation_type, asked.parameters):
        raise Invalid(errors[0]["detail"], errors=errors)
    return Order(asked.operation_type, dict(asked.parameters), asked, asked.prefer_gpu)


def _dates(asked: Dates) -> dict[str, str]:
    return asked.model_dump(mode="json", include=set(Dates.model_fields), exclude_none=True)


def _training_of(asked: BacktestRequest) -> Operation:
    """The training whose model is wanted; one that has not ended is named in `after`, and its model comes then."""
    trained = Operation.objects.filter(pk=asked.model).first()
    if trained is None or trained.operation_type != TRAINING:
        raise invalid("/model", f"There is no training {asked.model}.")
    if trained.status == Status.COMPLETED:
        made = trained.artifacts.filter(role=Artifact.Role.OUTPUT, name__in=MODEL_FILES).count()
        if made < len(MODEL_FILES):
            raise invalid("/model", f"The training {trained.pk} left no model.")
    elif trained.is_final:
        raise invalid("/model", f"The training {trained.pk} is {trained.status}: it has no model.")
    elif trained.pk not in asked.after:
        raise invalid(
            "/model",
            f"The training {trained.pk} is {trained.status}; name it in `after` to wait for its model.",
        )
    return trained


def _bars(
    symbols: Iterable[str], timeframes: Iterable[str], base: str, dates: Dates, pointer: str
) -> dict[str, str]:
    """Input name -> SHA-256. The base timeframe has to be there; a higher one that is not is resampled from it."""
    found = market_data.find(symbols)
    errors: list[dict[str, str]] = []
    inputs: dict[str, str] = {}
    for position, symbol in enumerate(symbols):
        at = f"/symbols/{position}" if pointer == "/symbols" else pointer
        rows = found.get(symbol, {})
        if not rows:
            errors.append({"pointer": at, "detail": f"There is no market data of {symbol}."})
        elif base not in rows:
            there = ", ".join(sorted(rows))
            errors.append(
                {"pointer": at, "detail": f"Of {symbol} there are bars of {there}, but not of {base}."}
            )
        else:
            errors += _outside(rows[base], dates)
            inputs |= {f"bars/{symbol}/{one}.parquet": rows[one].file_id for one in timeframes if one in rows}
    if errors:
        raise Invalid(errors[0]["detail"], errors=errors)
    return inputs


def _outside(bars: MarketData, dates: Dates) -> list[dict[str, str]]:
    first, last = bars.start.date(), bars.end.date()
    if dates.start_date and dates.start_date > last:
        return [_no_bars("/start_date", bars, first, last)]
    if dates.end_date and dates.end_date < first:
        return [_no_bars("/end_date", bars, first, last)]
    return []


def _no_bars(pointer: str, bars: MarketData, first: date, last: date) -> dict[str, str]:
    return {
        "pointer": pointer,
        "detail": f"The bars of {bars.symbol} {bars.timeframe} are from {first} to {last}: none in this range.",
    }
