"""The rules of the engine again, as slowly and literally as possible: an oracle for the compiled one.

Written from the rules' text with lists and if-statements, one bar after the other, in another structure than the
kernel: a queue of events inside each bar instead of phases.
"""

from dataclasses import dataclass, field
from typing import Any

from workers.backtesting.rules import Rules


@dataclass
class Position:
    side: int
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
    dead: bool = False
    refused: int = 0


def simulate(
    bars: list[tuple[float, float, float, float]], target: list[int], rules: Rules
) -> dict[str, Any]:
    book = Book(rules.initial_capital)
    friction = rules.slippage + rules.spread / 2
    equity = []
    last = len(bars) - 1
    for bar, (open_, high, low, close) in enumerate(bars):

        def pay(base: float, side: int, high: float = high, low: float = low) -> float:
            price = base * (1 + friction) if side > 0 else base * (1 - friction)
            return max(low, min(high, price))

        if rules.fill == "next_open" and bar > 0:
            _order(book, rules, bar, target[bar - 1], open_, pay, at_open=True)
        _stops(book, rules, bar, bars, pay)
        if rules.fill == "next_close" and bar > 0:
            _order(book, rules, bar, target[bar - 1], close, pay, at_open=False)
        if rules.fill == "same_close" and bar < last:
            _order(book, rules, bar, target[bar], close, pay, at_open=False)
        held = book.position
        if held is not None and book.cash + held.side * held.quantity * close <= 0:
            _leave(book, rules, bar, pay(close, -held.side), "ruin")
            book.dead = True
        elif held is None and book.cash <= 0:
            book.dead = True
        held = book.position
        equity.append(book.cash + (held.side * held.quantity * close if held else 0.0))
    if book.position is not None:
        held = book.position
        mark = bars[-1][3]
        book.trades.append(
            _row(
                held, -1, mark, held.side * held.quantity * (mark - held.entry_price) - held.entry_fee, "open"
            )
        )
    return {"equity": equity, "trades": book.trades, "refused": book.refused}


def _order(book: Book, rules: Rules, bar: int, wish: int, base: float, pay: Any, *, at_open: bool) -> None:
    if book.dead:
        return
    if wish != book.blocked:
        book.blocked = 0
    if wish == 1 and not rules.allow_long:
        wish = 0
    if wish == -1 and not rules.allow_short:
        wish = 0
    side = book.position.side if book.position else 0
    if wish == side:
        return
    if side == 0 and wish == book.blocked:
        return
    if book.position:
        _leave(book, rules, bar, pay(base, -side), "signal")
    if wish == 0:
        return
    price = pay(base, wish)
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
    book.cash -= wish * quantity * price + fee

    def away(fraction: float | None, direction: int) -> float | None:
        return None if fraction is None else price + direction * (fraction * price)

    book.position = Position(
        side=wish,
        quantity=quantity,
        entry_bar=bar,
        entry_price=price,
        entry_fee=fee,
        first_live_bar=bar if at_open else bar + 1,
        stop=away(rules.stop_loss, -wish),
        target=away(rules.take_profit, wish),
        trail=away(rules.trailing_stop, -wish),
    )


def _stops(
    book: Book, rules: Rules, bar: int, bars: list[tuple[float, float, float, float]], pay: Any
) -> None:
    held = book.position
    if held is None or bar < held.first_live_bar:
        return
    open_, high, low, _ = bars[bar]
    if held.trail is not None and bar - 1 >= held.first_live_bar:
        assert rules.trailing_stop is not None
        best = bars[bar - 1][1] if held.side > 0 else bars[bar - 1][2]
        # As `away` has it, to the last bit: where the best price is still the entry's, both stops are the same level.
        moved = best - held.side * (rules.trailing_stop * best)
        held.trail = max(held.trail, moved) if held.side > 0 else min(held.trail, moved)
    barriers = [
        (level, name)
        for level, name in ((held.stop, "stop_loss"), (held.trail, "trailing_stop"))
        if level is not None
    ]
    if barriers:
        # The one that is nearer to the price; the fixed one where both are equal.
        level, name = max(barriers, key=lambda b: (held.side * b[0], b[1] == "stop_loss"))
        if (held.side > 0 and low <= level) or (held.side < 0 and high >= level):
            beyond = open_ < level if held.side > 0 else open_ > level
            _leave(book, rules, bar, pay(open_ if beyond else level, -held.side), name)
            book.blocked = held.side
            return
    if held.target is None:
        return
    if (held.side > 0 and high >= held.target) or (held.side < 0 and low <= held.target):
        beyond = open_ > held.target if held.side > 0 else open_ < held.target
        price = open_ if beyond else held.target
        _leave(book, rules, bar, max(low, min(high, price)), "take_profit")
        book.blocked = held.side


def _leave(book: Book, rules: Rules, bar: int, price: float, reason: str) -> None:
    held = book.position
    assert held is not None
    fee = held.quantity * price * rules.commission
    book.cash += held.side * held.quantity * price - fee
    pnl = held.side * held.quantity * (price - held.entry_price) - held.entry_fee - fee
    book.trades.append(_row(held, bar, price, pnl, reason))
    book.position = None


def _row(held: Position, bar: int, price: float, pnl: float, reason: str) -> dict[str, Any]:
    return {
        "entry_index": held.entry_bar,
        "exit_index": bar,
        "side": held.side,
        "quantity": held.quantity,
        "entry_price": held.entry_price,
        "exit_price": price,
        "pnl": pnl,
        "exit_reason": reason,
    }
