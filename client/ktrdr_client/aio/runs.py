"""Trainings and backtests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ktrdr_client.aio.operations import AsyncOperation, AsyncOperations
from ktrdr_client.aio.session import AsyncSession, Json
from ktrdr_client.bodies import given
from ktrdr_client.files import read_text


class AsyncTrainings:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def start(
        self, strategy: str | Path, symbols: Iterable[str] | None = None, **fields: Any
    ) -> AsyncOperation:
        """Train a strategy, given as a file or its text; `fields` are those of `POST /training/start`."""
        body = given(strategy_yaml=read_text(strategy), symbols=_as_list(symbols), **fields)
        created = await self._session.create("/training/start", json=body)
        return AsyncOperation(self._session, {**created, "operation_type": "training"})


class AsyncBacktests:
    def __init__(self, session: AsyncSession, operations: AsyncOperations) -> None:
        self._session = session
        self._operations = operations

    async def start(
        self,
        symbol: str,
        *,
        model: AsyncOperation | str | None = None,
        strategy: str | Path | None = None,
        **fields: Any,
    ) -> AsyncOperation:
        """Backtest a trained model, or a rules strategy; `fields` are those of `POST /backtests/start`.

        A model whose training has not ended is waited for in the queue.
        """
        body = _backtest(symbol, model, strategy, fields)
        created = await self._session.create("/backtests/start", json=body)
        return AsyncOperation(self._session, {**created, "operation_type": "backtesting"})

    async def start_many(self, backtests: Iterable[Mapping[str, Any]]) -> list[AsyncOperation]:
        """Start up to 1,000 backtests, all or none; each has the arguments of `start`."""
        bodies = [
            {"operation_type": "backtesting", **_backtest(**_arguments(backtest))} for backtest in backtests
        ]
        return await self._operations.batch(bodies)


def _arguments(backtest: Mapping[str, Any]) -> Json:
    named = {name: backtest.get(name) for name in ("symbol", "model", "strategy")}
    return named | {"fields": {name: value for name, value in backtest.items() if name not in named}}


def _backtest(
    symbol: str, model: AsyncOperation | str | None, strategy: str | Path | None, fields: Mapping[str, Any]
) -> Json:
    after = list(fields.get("after") or ())
    if isinstance(model, AsyncOperation):
        after += [] if model.status == "COMPLETED" else [model.id]
        model = model.id
    text = None if strategy is None else read_text(strategy)
    return given(symbol=symbol, model=model, strategy_yaml=text, **{**fields, "after": after or None})


def _as_list(symbols: Iterable[str] | None) -> list[str] | None:
    return None if symbols is None else [symbols] if isinstance(symbols, str) else list(symbols)
