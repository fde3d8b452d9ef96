"""How pages format results: sentences, numbers and units."""

from datetime import UTC, datetime

from dashboard.templatetags.links import operation_url, worker_url
from dashboard.templatetags.rows import log_rows, run_strip, table_rows
from operations.kinds.backtesting import report as backtest_report
from operations.kinds.training.model_card import architecture
from operations.models import LogLine, Operation
from operations.presentation.charts import Table
from operations.presentation.numbers import plain
from operations.presentation.reliability import audit_lines
from operations.presentation.report_charts import column


def test_a_model_is_described_in_one_line() -> None:
    def of(kind: str, **shape: object) -> str:
        return architecture({"model": {"architecture": {"type": kind, "architecture": shape}}})

    assert of("mlp", hidden_layers=[32, 16], dropout=0.2) == "MLP 32-16"
    assert of("lstm", hidden_size=64, num_layers=2, sequence_length=20) == "LSTM 64 x 2, window 20"
    assert of("gru", hidden_size=8, num_layers=1) == "GRU 8"
    assert of("tsk", rules=16) == "TSK of 16 rules"
    assert architecture({}) == ""


def test_audits_are_shown_as_sentences() -> None:
    audit = {
        "look_ahead": {"passed": True, "cuts": 2, "features": {"cuts": 3, "seconds": 0.1}},
        "sensitivity": {
            "doubled_costs": {"total_return": 0.05, "trades": 3},
            "one_bar_later": {"total_return": -0.01, "trades": 3},
        },
        "something_new": {"passed": False},
    }
    lines = [(line.text, line.is_good) for line in audit_lines({"audit": audit})]
    assert lines == [
        ("Look-ahead check: passed (5 cut points).", True),
        ("With doubled costs: +5.0 %", True),
        ("With decisions delayed by one bar: −1.0 %", False),
        ("Something new: failed", False),
    ]


def test_tables_of_a_report_show_dates_money_and_percentages() -> None:
    report = backtest_report.read(
        {
            "drawdowns": [
                {"start": "2010-04-26T00:00:00+00:00", "trough": "2010-07-02T00:00:00+00:00", "end": None,
                 "depth": -0.192, "bars": 171, "days": 248.0}
            ],
            "by_side": [{"key": "long", "trades": 14, "win_rate": 0.5714, "pnl": 14330.5, "average_return": 0.0112}],
        },
        {},
    )  # fmt: skip
    assert report.drawdowns is not None
    assert report.drawdowns.rows == [["2010-04-26", "2010-07-02", "–", "−19.2 %", "171", "248"]]
    title, [group] = report.groups[0]
    assert (title, group.key, group.query) == ("By side", "long", "side=long&result=closed")
    assert [text for _, text in group.cells] == ["14", "57 %", "14\u202f330.50", "+1.12 %"]


def test_a_column_keeps_seven_digits_of_its_largest_value_and_undefined_values() -> None:
    ys = [123_456.789, None, -0.5, 0.0]
    equity = column("equity", ys)
    assert equity["y"] == [1_234_568, None, -5, 0]
    assert equity["scale"] == 10
    assert column("flat", [0.0, None])["y"] == [0, None]
    assert column("small", [1.5e-7])["y"] == [1_500_000]
    assert "scale" in column("nothing", None)


def test_rows_built_as_one_string_escape_foreign_text() -> None:
    hostile = "<script>alert('1')</script>"
    line = LogLine(
        pk=7, attempt=1, seq=3, level="info", time=datetime(2026, 1, 2, tzinfo=UTC), message=hostile
    )
    run = Operation(operation_type=hostile, status="RUNNING")
    for html in (table_rows(Table([hostile, "b"], [[hostile, hostile]])), log_rows([line]), run_strip([run])):
        assert "<script" not in html
        assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;" in html
    assert 'title="2026-01-02 00:00:00 UTC" data-moment="time">00:00:00</time>' in log_rows([line])


def test_link_filters_return_the_addresses_of_the_pages() -> None:
    assert operation_url("ab12") == "/dashboard/operations/ab12"
    assert worker_url("gpu-01:5002") == "/dashboard/workers/gpu-01:5002"
    assert worker_url('"><script>') == "/dashboard/workers/%22%3E%3Cscript%3E"


def test_a_mapping_is_shown_as_names_and_values() -> None:
    assert plain({"torch": "2.13.0", "threads": 1}) == "torch 2.13.0, threads 1"
    assert [plain(empty) for empty in ({}, [], "", None)] == ["–"] * 4
