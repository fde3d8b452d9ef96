"""Report how often each condition of a rules strategy was true in the test period."""

from typing import Any

from workers.backtesting.condition_decisions import Columns, evaluate_conditions
from workers.strategy.grammar import RulesStrategy


def conditions_table(strategy: RulesStrategy, columns: Columns, start: int) -> list[dict[str, Any]]:
    """Return `{name, expression, true, unknown, bars}` for each condition, counted over the bars from `start` on.

    A condition is unknown where one of its values is missing.
    """
    evaluated = evaluate_conditions(strategy, columns)
    return [
        {
            "name": name,
            "expression": text,
            "true": int(evaluated[name].holds[start:].sum()),
            "unknown": int((~evaluated[name].known[start:]).sum()),
            "bars": len(evaluated[name].known) - start,
        }
        for name, text in strategy.decisions.expressions.items()
    ]


def never_true_warnings(table: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"code": "never_true", "message": _never_true(row)} for row in table if row["true"] == 0]


def _never_true(row: dict[str, Any]) -> str:
    because = " because its values never existed together" if row["unknown"] == row["bars"] else ""
    return f"The condition {row['name']} was true at none of the {row['bars']:,} bars{because}: {row['expression']}"
