"""What pages make of a result: sentences and figures in people's units."""

from operations.pages import backtest_report
from operations.pages.model_card import architecture
from operations.pages.trust import audit_lines


def test_a_model_is_named_in_a_line() -> None:
    def of(kind: str, **shape: object) -> str:
        return architecture({"model": {"architecture": {"type": kind, "architecture": shape}}})

    assert of("mlp", hidden_layers=[32, 16], dropout=0.2) == "MLP 32-16"
    assert of("lstm", hidden_size=64, num_layers=2, sequence_length=20) == "LSTM 64 x 2, window 20"
    assert of("gru", hidden_size=8, num_layers=1) == "GRU 8"
    assert of("tsk", rules=16) == "TSK of 16 rules"
    assert architecture({}) == ""


def test_audits_are_sentences() -> None:
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
        ("Computed again with the future cut off at 5 bars: nothing changed.", True),
        ("With doubled costs: +5.0 %", True),
        ("With every decision one bar later: −1.0 %", False),
        ("Something new: failed", False),
    ]


def test_tables_of_a_report_read_as_dates_money_and_per_cent() -> None:
    report = backtest_report.read(
        {
            "drawdowns": [
                {"start": "2010-04-26T00:00:00+00:00", "trough": "2010-07-02T00:00:00+00:00", "end": None,
                 "depth": -0.192, "bars": 171, "days": 248.0}
            ],
            "by_side": [{"key": "long", "trades": 14, "win_rate": 0.5714, "pnl": 14330.5, "average_return": 0.0112}],
        }
    )  # fmt: skip
    assert report.drawdowns is not None
    assert report.drawdowns.rows == [["2010-04-26", "2010-07-02", "–", "−19.2 %", "171", "248"]]
    title, table = report.groups[0]
    assert (title, table.rows) == ("By side", [["long", 14, "57 %", "14\u202f330.50", "+1.12 %"]])
