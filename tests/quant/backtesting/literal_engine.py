"""The engine's rules (semantics 2) in plain Python, slow and literal: the reference for the compiled engine.

Written from the text of the rules with lists and if-statements, and structured differently from the kernel.
"""

from dataclasses import dataclass, field
from typing import Any

from workers.backtesting.engine_rules import Rules


@dataclass
class Position:
    direction: int
    quantity: float
    entry_bar: int
    entry_price: float
    entry_fee: float
    first_live_bar: int
    stop: float | None
    target: float | None
    trail: float | None


@dataclass
class Book:
    cash: float
    position: Position | None = None
    trades: list[dict[str, Any]] = field(default_factory=list)
    blocked: int = 0
    ended: bool = False
    refused: int = 0


def simulate(
    bars: list[tuple[float, float, float, float]], target: list[int], rules: Rules
) -> dict[str, Any]:
    book = Book(rules.initial_capital)
    friction = rules.slippage + (rules.spread or 0.0) / 2

    def pay(base: float, side: int) -> float:
        return base * (1 + friction) if side > 0 else base * (1 - friction)

    equity = []
    last = len(bars) - 1
    for bar, (open_, _, _, close) in enumerate(bars):
        if rules.fill == "next_open" and bar > 0:
            _follow_signal(book, rules, bar, target[bar - 1], open_, pay, at_open=True)
        _apply_stops(book, rules, bar, bars, pay)
        if rules.fill == "next_close" and bar > 0:
            _follow_signal(book, rules, bar, target[bar - 1], close, pay, at_open=False)
        if rules.fill == "same_close" and bar < last:
            _follow_signal(book, rules, bar, target[bar], close, pay, at_open=False)
        position = book.position
        if position is not None and _worth(book, close) <= 0:
            _close(book, rules, bar, pay(close, -position.direction), "ruin")
            book.ended = True
        elif position is None and book.cash <= 0:
            book.ended = True
        equity.append(_worth(book, close))
    if book.position is not None:
        position = book.position
        mark = bars[-1][3]
        book.trades.append(
            _row(
                position,
                -1,
                mark,
                position.direction * position.quantity * (mark - position.entry_price) - position.entry_fee,
                "open",
            )
        )
    return {"equity": equity, "trades": book.trades, "refused": book.refused}


def _follow_signal(
    book: Book, rules: Rules, bar: int, signal: int, base: float, pay: Any, *, at_open: bool
) -> None:
    if book.ended:
        return
    if signal != book.blocked:
        book.blocked = 0
    if signal == 1 and not rules.allow_long:
        signal = 0
    if signal == -1 and not rules.allow_short:
        signal = 0
    direction = book.position.direction if book.position else 0
    if signal == direction:
        return
    if direction == 0 and signal == book.blocked:
        return
    if book.position:
        _close(book, rules, bar, pay(base, -direction), "signal")
    if signal == 0:
        return
    price = pay(base, signal)
    affordable = rules.max_leverage * book.cash / (price * (1 + rules.commission))
    quantity = (
        rules.size * book.cash / (price * (1 + rules.commission))
        if rules.sizing == "fraction"
        else rules.size
    )
    quantity = min(quantity, affordable)
    if book.cash <= 0 or quantity <= 0 or quantity < rules.minimum_quantity:
        book.refused += 1
        return
    fee = quantity * price * rules.commission
    book.cash -= signal * quantity * price + fee

    def level(fraction: float | None, sign: int) -> float | None:
        return None if fraction is None else price + sign * (fraction * price)

    book.position = Position(
        direction=signal,
        quantity=quantity,
        entry_bar=bar,
        entry_price=price,
        entry_fee=fee,
        first_live_bar=bar if at_open else bar + 1,
        stop=level(rules.stop_loss, -signal),
        target=level(rules.take_profit, signal),
        trail=level(rules.trailing_stop, -signal),
    )


def _apply_stops(
    book: Book, rules: Rules, bar: int, bars: list[tuple[float, float, float, float]], pay: Any
) -> None:
    position = book.position
    if position is None or bar < position.first_live_bar:
        return
    open_, high, low, _ = bars[bar]
    if position.trail is not None and bar - 1 >= position.first_live_bar:
        assert rules.trailing_stop is not None
        best = bars[bar - 1][1] if position.direction > 0 else bars[bar - 1][2]
        # Computed like `level`, to the last bit: while the best price is the entry price, both stops are equal.
        moved = best - position.direction * (rules.trailing_stop * best)
        position.trail = max(position.trail, moved) if position.direction > 0 else min(position.trail, moved)
    barriers = [
        (level, name)
        for level, name in ((position.stop, "stop_loss"), (position.trail, "trailing_stop"))
        if level is not None
    ]
    if barriers:
        # The barrier closer to the price; the fixed one if both are equal.
        barrier, name = max(barriers, key=lambda b: (position.direction * b[0], b[1] == "stop_loss"))
        if (position.direction > 0 and low <= barrier) or (position.direction < 0 and high >= barrier):
            beyond = open_ < barrier if position.direction > 0 else open_ > barrier
            base = open_ if beyond else barrier
            # A stop below the price at which nothing is left comes too late.
            if _worth(book, base) > 0:
                _close(book, rules, bar, pay(base, -position.direction), name)
                book.blocked = position.direction
                return
    worst = low if position.direction > 0 else high
    if _worth(book, worst) <= 0:
        _close(book, rules, bar, pay(worst, -position.direction), "ruin")
        book.ended = True
        return
    if position.target is None:
        return
    if (position.direction > 0 and high >= position.target) or (
        position.direction < 0 and low <= position.target
    ):
        beyond = open_ > position.target if position.direction > 0 else open_ < position.target
        price = open_ if beyond else position.target
        _close(book, rules, bar, pay(price, -position.direction), "take_profit")
        book.blocked = position.direction


def _worth(book: Book, price: float) -> float:
    position = book.position
    return book.cash + (position.direction * position.quantity * price if position else 0.0)


def _close(book: Book, rules: Rules, bar: int, price: float, reason: str) -> None:
    position = book.position
    assert position is not None
    fee = position.quantity * price * rules.commission
    book.cash += position.direction * position.quantity * price - fee
    pnl = position.direction * position.quantity * (price - position.entry_price) - position.entry_fee - fee
    book.trades.append(_row(position, bar, price, pnl, reason))
    book.position = None


def _row(position: Position, bar: int, price: float, pnl: float, reason: str) -> dict[str, Any]:
    return {
        "entry_index": position.entry_bar,
        "exit_index": bar,
        "side": position.direction,
        "quantity": position.quantity,
        "entry_price": position.entry_price,
        "exit_price": price,
        "pnl": pnl,
        "exit_reason": reason,
    }
