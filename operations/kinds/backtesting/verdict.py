"""The verdict on a backtest, from its metrics and the codes of its warnings."""

from typing import Any

from operations.presentation.numbers import dig, signed_percent
from operations.presentation.verdicts import Verdict, warning_codes

CHANCE = frozenset({"few_trades", "luck", "concentration", "doubled_costs", "one_bar_later"})
UNREAL = frozenset({"splits", "same_close", "no_costs", "implausible_costs", "implausible"})


def verdict(result: dict[str, Any]) -> Verdict | None:
    """Return the most serious finding; None if the result has no total return."""
    earned, held = (dig(result, part, "total_return") for part in ("metrics", "benchmark"))
    if held is None:
        held = dig(result, "benchmark", "metrics", "total_return")
    if not isinstance(earned, int | float):
        return None
    figures = f"{signed_percent(earned)} after costs; buy and hold {signed_percent(held)}."
    return (
        _invalid(result, figures)
        or _unprofitable(result, earned, held, figures)
        or _doubtful(result, figures)
    )


def _invalid(result: dict[str, Any], figures: str) -> Verdict | None:
    codes = warning_codes(result)
    if dig(result, "audit", "look_ahead", "passed") is False:
        return Verdict("bad", "Not valid", f"The decisions depend on later bars. {figures}")
    if dig(result, "metrics", "trades") == 0:
        return Verdict("warn", "No trades", "There is nothing to judge.")
    if "overlap" in codes:
        return Verdict("bad", "Not an out-of-sample test", f"The model has seen this period. {figures}")
    return None


def _unprofitable(result: dict[str, Any], earned: float, held: Any, figures: str) -> Verdict | None:
    if "ruin" in warning_codes(result):
        return Verdict("bad", "Ruined", f"The equity reached zero. {figures}")
    if earned <= 0:
        return Verdict("bad", "Lost money", figures)
    if isinstance(held, int | float) and earned < held:
        return Verdict("warn", "Worse than buy and hold", figures)
    return None


def _doubtful(result: dict[str, Any], figures: str) -> Verdict:
    codes = warning_codes(result)
    if codes & UNREAL:
        return Verdict("warn", "Not realistic", f"Real trading would not have earned this. {figures}")
    if codes & CHANCE:
        return Verdict(
            "warn", "Could be chance", f"Better than buy and hold, but with weak evidence. {figures}"
        )
    if result.get("warnings"):
        return Verdict("warn", "Better than buy and hold, with warnings", figures)
    return Verdict("good", "Better than buy and hold", figures)
