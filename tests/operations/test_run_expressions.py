"""Filter expressions over runs: what they select, and one sentence with the position for each error."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db.models import Q
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.actors import Actor
from operations.labels import Labels, label
from operations.models import Operation, RunMetrics
from operations.runs.expressions import MAX_LENGTH, ExpressionError, parse
from tests.factories import OperationFactory

STRATEGY = "name: momentum\n"


@pytest.fixture
def runs(db: None) -> None:
    """`a` to `c` are completed backtests, `d` is a failed training."""
    for pk, sharpe, trades, tags in (
        ("a", 1.5, 40, ["fx"]),
        ("b", 0.4, 10, ["fx", "old"]),
        ("c", None, 50, []),
    ):
        operation = OperationFactory(
            operation_id=pk, operation_type="backtesting", status="COMPLETED", completed_at="2026-01-01T00:00Z",
            parameters={"symbol": "EURUSD" if pk == "a" else "AAPL", "timeframe": "1d", "model": "d"},
            title=f"The {pk} run",
        )  # fmt: skip
        RunMetrics.objects.create(operation=operation, sharpe=sharpe, trades=trades, max_drawdown=-0.2)
        label(pk, Labels(tags=tags), Actor("test"))
    OperationFactory(
        operation_id="d", operation_type="training", status="FAILED", error_class="job",
        completed_at="2026-01-01T00:00Z", parameters={"symbols": ["AAPL", "GOOG"], "strategy_yaml": STRATEGY},
    )  # fmt: skip
    Operation.objects.filter(pk="a").update(created_at=datetime(2026, 1, 31, 23, 59, tzinfo=UTC))


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("", "abcd"),
        ("sharpe > 0.5", "a"),
        ("sharpe > .5 and trades > 30 and tag = fx", "a"),
        ("sharpe<=0.4", "b"),
        ("Sharpe != 1.5", "b"),
        ("trades >= 40 AND NOT tag = fx", "c"),
        ("tag = FX or trades = 50", "abc"),
        ("tag = fx and (trades < 20 or sharpe > 1)", "ab"),
        ("tag != fx", "cd"),
        ("drawdown = -20%", "abc"),
        ("max_drawdown < -0.3", ""),
        ("not (sharpe > 0.5)", "bcd"),
        ("type = backtest", "abc"),
        ("type = training", "d"),
        ("status = failed", "d"),
        ("symbol = AAPL", "bcd"),
        ("symbol ~ goo", "d"),
        ("timeframe = 1d", "abc"),
        ("strategy = Momentum", "d"),
        ("strategy ~ moment", "d"),
        ('title = "The a run"', "a"),
        ("title ~ 'B run'", "b"),
        ("user = nobody", ""),
        ("created = 2026-01-31", "a"),
        ("created <= 2026-01-31", "a"),
        ("created > 2026-01-31", "bcd"),
        ("created < 2026-01-31", ""),
        ("created >= 2026-02-01", "bcd"),
        ("ended != 2026-01-01", ""),
    ],
)
def test_an_expression_selects(expression: str, selected: str) -> None:
    rows = Operation.objects.filter(parse(expression)).values_list("pk", flat=True)
    assert "".join(sorted(rows)) == selected


@pytest.mark.parametrize(
    ("expression", "position", "words"),
    [
        ("sharp > 1", 0, "Unknown name 'sharp' at character 1; did you mean sharpe"),
        ("xyzzy = 1", 0, "some names are return,"),
        ("sharpe >", 8, "Expected a value instead of the end at character 9."),
        ("sharpe", 6, "Expected a comparison instead of the end at character 7; use =,"),
        ("sharpe 1", 7, "Expected a comparison instead of '1'"),
        ("sharpe > high", 9, "sharpe is compared with a number, not 'high', at character 10."),
        ("trades > 1 sharpe > 2", 11, "Unexpected 'sharpe' at character 12; join"),
        ("(trades > 1", 11, "Expected ) instead of the end"),
        ("trades > 1)", 10, "Unexpected ')'"),
        ("and", 0, "Expected a name instead of 'and'"),
        ("trades > and", 9, "Expected a value instead of 'and'"),
        ("tag > fx", 4, "tag needs = or !=, not >,"),
        ("sharpe ~ 1", 7, "sharpe needs =,"),
        ("tag = a/b", 6, "A tag has at most"),
        ("status = done", 9, "Unknown status 'done'"),
        ("created > yesterday", 10, "such as 2026-01-31, not 'yesterday'"),
        ("created < 9999-12-31", 10, "such as 2026-01-31, not '9999-12-31'"),
        ("ended ~ 9999-12-31", 8, "such as 2026-01-31, not '9999-12-31'"),
        ('title = "open', 8, "text needs two equal quotes"),
        ("trades > 1;", 9, "not '1;'"),
        ("! sharpe", 0, "Unexpected '!'"),
        ("(" * 25 + "trades > 1", 21, "More than 20 nested parts"),
        ("not " * 25 + "trades > 1", 84, "More than 20 nested parts"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH, f"at most {MAX_LENGTH} characters"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_error_is_one_sentence_with_the_position(expression: str, position: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(expression)
    assert caught.value.position == position
    sentence = str(caught.value)
    assert words in sentence
    assert sentence.count("\n") == 0
    assert len(sentence) < 300


PIECES = st.sampled_from(
    ["sharpe", "tag", "title", "created", "and", "or", "not", "(", ")", "=", ">", "~", "!=", "1", "-2%", "fx",
     '"a b"', "'", "2026-01-01", "\x00", "1e999", "é"]
)  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES, max_size=12))
def test_any_text_is_a_condition_or_an_error_with_a_position_inside_it(pieces: list[Any]) -> None:
    expression = " ".join(pieces)
    outcome = read(expression)
    if isinstance(outcome, ExpressionError):
        assert 0 <= outcome.position <= len(expression)
    else:
        assert not Operation.objects.filter(outcome).exists()


def read(expression: str) -> Q | ExpressionError:
    try:
        return parse(expression)
    except ExpressionError as error:
        return error
