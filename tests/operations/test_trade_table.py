"""The table of trades is sorted, filtered and paged by the server over all trades, whatever the file they come from."""

import json
import math
import struct
from array import array
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from operations import artifacts
from operations.kinds.backtesting.trade_parts import trade_parts
from operations.models import Artifact, Operation
from operations.presentation.trades import stored
from operations.presentation.trades.query import SORTS, WEEKDAYS, Query, select
from operations.presentation.trades.stored import StoredTrades
from operations.presentation.trades.table import one, trade_page, trades_between
from tests.browser.charts import backtest_files, trades_csv
from tests.browser.reports import backtest_report
from tests.factories import OperationFactory
from tests.operations.page_text import read, table

REASONS = ["signal", "stop_loss", "open"]
DAY = 86_400


def trades_of(rows: list[dict[str, float]]) -> StoredTrades:
    names = list(rows[0])
    return StoredTrades(len(rows), names, REASONS, 2, {name: [row[name] for row in rows] for name in names})


def trade(
    number: int, pnl: float, side: float = 1.0, reason: float = 0.0, is_open: bool = False
) -> dict[str, float]:
    entry = number * 7 * 3600.0
    return {
        "entry_time": entry, "exit_time": math.nan if is_open else entry + 3600, "side": side, "quantity": 10.0,
        "entry_price": 100.0, "exit_price": 101.0, "pnl": pnl, "return": pnl / 1000, "fees": 1.0, "costs": 1.5,
        "mae": -0.01, "mfe": 0.02, "duration": math.nan if is_open else 3600.0, "bars": 1.0, "r": pnl / 50,
        "reason": reason, "stop": 95.0, "target": math.nan,
    }  # fmt: skip


many_trades = st.lists(
    st.builds(
        trade, st.integers(0, 400), st.floats(-1e6, 1e6), st.sampled_from([1.0, -1.0]), st.sampled_from([0.0, 1.0]),
        st.booleans(),
    ), min_size=1, max_size=130,
).map(trades_of)  # fmt: skip


@given(many_trades, st.sampled_from(SORTS), st.booleans(), st.sampled_from(["", "long", "short"]), st.sampled_from(["", "won", "lost", "open", "closed"]))  # fmt: skip
def test_pages_together_are_the_matching_trades_in_order(
    trades: StoredTrades, sort: str, descending: bool, side: str, result: str
) -> None:
    parameters = {"sort": f"-{sort}" if descending else sort, "side": side, "result": result}
    pages = [trade_page(trades, Query.of({**parameters, "page": str(page)})) for page in (1, 2, 3)]
    numbers = list(dict.fromkeys(row.number for page in pages for row in page.rows))
    assert numbers == [row + 1 for row in select(trades, Query.of(parameters))]
    expected = {
        row for row in range(trades.rows)
        if side in ("", "long" if trades.column("side")[row] > 0 else "short")
        and _has_result(trades, row, result)
    }  # fmt: skip
    assert {number - 1 for number in numbers} == expected
    if sort != "number":
        values = [value for number in numbers if not math.isnan(value := trades.column(sort)[number - 1])]
        assert values == sorted(values, reverse=descending)


def _has_result(trades: StoredTrades, row: int, result: str) -> bool:
    pnl, is_open = trades.column("pnl")[row], math.isnan(trades.column("exit_time")[row])
    return {"": True, "won": pnl > 0, "lost": pnl <= 0, "open": is_open, "closed": not is_open}[result]


@given(many_trades, st.floats(0, 400 * 7 * 3600), st.floats(0, 30 * DAY))
def test_a_chart_gets_the_trades_that_are_open_within_its_time(
    trades: StoredTrades, start: float, span: float
) -> None:
    found = trades_between(trades, start, start + span)
    assert found["count"] == len(found["numbers"])
    for row in range(trades.rows):
        entry, leave = trades.column("entry_time")[row], trades.column("exit_time")[row]
        overlaps = entry <= start + span and (math.isnan(leave) or leave >= start)
        assert overlaps == (row + 1 in found["numbers"])


@pytest.mark.parametrize("parameters", [
    {"sort": "-nonsense"}, {"page": "-1"}, {"page": "99999999999"}, {"page": "²"}, {"side": "up"}, {"hour": "99:00"},
    {"weekday": "Funday"}, {"reason": "\x00"},
])  # fmt: skip
def test_unknown_values_of_a_query_are_ignored(parameters: dict[str, str]) -> None:
    trades = trades_of([trade(number, 1.0) for number in range(3)])
    assert [row.number for row in trade_page(trades, Query.of(parameters)).rows] == [1, 2, 3]


def test_groups_of_the_report_select_their_trades() -> None:
    trades = trades_of([trade(number, 1.0, reason=number % 2) for number in range(100)])
    by_day = [len(select(trades, Query.of({"weekday": day}))) for day in WEEKDAYS]
    by_hour = [len(select(trades, Query.of({"hour": f"{hour:02}:00"}))) for hour in range(24)]
    assert (sum(by_day), sum(by_hour)) == (100, 100)
    # 1970-01-01 was a Thursday.
    assert 1 in [row + 1 for row in select(trades, Query.of({"weekday": "Thursday", "hour": "00:00"}))]
    assert len(select(trades, Query.of({"reason": "stop_loss"}))) == 50


def add(operation: Operation, name: str, content: bytes) -> None:
    Artifact.objects.create(operation=operation, role="output", name=name, file=artifacts.put([content]))


@pytest.fixture
def backtest(staff: Any, client: Client) -> Operation:
    client.force_login(staff)
    return OperationFactory(
        operation_type="backtesting", status="COMPLETED", completed_at="2026-01-01T00:00Z"
    )


def test_old_and_new_files_give_the_same_table(client: Client, backtest: Operation) -> None:
    report = backtest_report()
    add(backtest, "trades.csv", trades_csv(report))
    address = f"/dashboard/operations/{backtest.pk}/trades"
    old = table(read(client.get(address).content.decode()), "Trades")
    add(backtest, "trades.bin", backtest_files(report)["trades.bin"])
    new = table(read(client.get(address).content.decode()), "Trades")
    assert len(old) == len(new) == len(report["trades"])
    without_r = [[*row[:11], *row[12:]] for row in new]
    assert without_r == old
    for row, expected in zip(new, report["trades"], strict=True):
        risk = 0.03 * expected["quantity"] * expected["entry_price"]
        assert row[11] == f"{expected['pnl'] / risk:.2f}".replace("-", "−")


@pytest.mark.parametrize("content", [b"", b"\x09\x00\x00\x00{}", b"\xff\xff\xff\xff", b"\x02\x00\x00\x00[]"])
def test_a_file_that_is_not_valid_is_a_page_that_is_not_found(
    client: Client, backtest: Operation, content: bytes
) -> None:
    add(backtest, "trades.bin", content)
    with pytest.raises(stored.TradesUnavailableError, match="not valid"):
        stored.read(stored.files_of(backtest))
    assert client.get(f"/dashboard/operations/{backtest.pk}/trades").status_code == 404


def test_values_that_no_simulation_writes_are_no_error() -> None:
    odd = [dict.fromkeys(trade(0, 1.0), value) for value in (math.nan, 1e300, -1e300, 0.0, math.inf, 1e17)]
    page = trade_page(trades_of(odd), Query.of({"sort": "-pnl"}))
    assert [row.number for row in page.rows] == [5, 2, 6, 4, 3, 1]


def test_infinite_values_are_not_sent_to_scripts(backtest: Operation) -> None:
    rows = [trade(0, value) for value in (1.0, math.inf, -math.inf, math.nan)]
    add(backtest, "trades.bin", packed({name: [row[name] for row in rows] for name in rows[0]}))
    drawn = trades_between(stored.read(stored.files_of(backtest)), 0, 1e9)
    assert drawn["pnl"] == [1.0, None, None, None]
    assert trade_parts(backtest)["returns"] == [0.001]


def index_of(rows: int, columns: list[str]) -> bytes:
    text = json.dumps({"rows": rows, "columns": columns, "reasons": [], "decimals": 2}).encode()
    return struct.pack("<I", len(text)) + text


@pytest.mark.parametrize("columns", [[], ["pnl"], list(trade(0, 1.0))], ids=["none", "one", "all"])
def test_the_size_of_a_file_limits_its_rows(backtest: Operation, columns: list[str]) -> None:
    add(backtest, "trades.bin", index_of(200_000_000, columns))
    with pytest.raises(stored.TradesUnavailableError):
        stored.read(stored.files_of(backtest))


@pytest.mark.parametrize(
    ("content", "is_valid"),
    [
        (b"exit_reason\n" + b"".join(b"%d\n" % number for number in range(101)), False),
        (b"entry_price\ninf\n", True),
        (b"entry_time\n0001-01-01\n", False),
        (b"\xff", False),
        (b"", True),
    ],
    ids=["reasons", "infinite", "year 1", "encoding", "empty"],
)
def test_text_that_no_simulation_writes_is_no_error(
    backtest: Operation, content: bytes, is_valid: bool
) -> None:
    add(backtest, "trades.csv", content)
    if is_valid:
        trade_page(stored.read(stored.files_of(backtest)), Query())
    else:
        with pytest.raises(stored.TradesUnavailableError, match="not valid"):
            stored.read(stored.files_of(backtest))


def test_a_trade_is_described_in_the_decimals_of_its_instrument() -> None:
    trades = trades_of([trade(0, -12.5, side=-1.0)])
    trades.decimals = 5
    found = one(trades, 1)
    assert found is not None
    assert (
        found["text"] == "Trade 1 of 1: short, entry 100.00000, exit 101.00000 (signal), P&L −12.50, −1.25 %"
    )
    assert (found["stop"], found["target"]) == (95.0, None)
    assert one(trades, 2) is None


def test_the_chart_asks_for_times_and_numbers(client: Client, backtest: Operation) -> None:
    add(backtest, "trades.bin", backtest_files(backtest_report())["trades.bin"])
    address = f"/dashboard/operations/{backtest.pk}/trades/drawn"
    assert json.loads(client.get(f"{address}?number=2").content)["number"] == 2
    assert json.loads(client.get(f"{address}?from=0&until=2e9").content)["count"] == 38
    for query in ("", "?from=a&until=2", "?from=nan&until=2", "?number=0", "?number=1e99", "?number=inf"):
        assert client.get(address + query).status_code == 404


def test_htmx_gets_only_the_table(client: Client, backtest: Operation) -> None:
    add(backtest, "trades.bin", backtest_files(backtest_report())["trades.bin"])
    fragment = client.get(
        f"/dashboard/operations/{backtest.pk}/trades?sort=pnl", headers={"HX-Request": "true"}
    )
    tag = '<section class="card card-flush" id="trades" hx-target="#trades" hx-swap="outerHTML">'
    assert fragment.content.decode().strip().startswith(tag)


def packed(columns: dict[str, list[float]]) -> bytes:
    rows = len(next(iter(columns.values())))
    text = json.dumps({"rows": rows, "columns": list(columns), "reasons": REASONS, "decimals": 2}).encode()
    values = b"".join(array("d", column).tobytes() for column in columns.values())
    return struct.pack("<I", len(text)) + text + values


def test_only_the_columns_that_a_page_needs_are_read(backtest: Operation) -> None:
    rows = [trade(number, float(-number)) for number in range(300)]
    add(backtest, "trades.bin", packed({name: [row[name] for row in rows] for name in rows[0]}))
    trades = stored.read(stored.files_of(backtest))
    assert select(trades, Query.of({"sort": "pnl", "side": "long"}))[:3] == [299, 298, 297]
    assert set(trades.columns) == {"pnl", "side"}
