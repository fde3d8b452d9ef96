"""The verdict on a backtest, from its metrics and the codes of its warnings."""

from typing import Any

from workers.verdicts.verdict import Verdict, warning_codes

CHANCE = frozenset({"few_trades", "luck", "concentration", "doubled_costs", "one_bar_later"})
UNREAL = frozenset({"splits", "same_close", "no_costs", "implausible_costs", "implausible"})


def verdict(result: dict[str, Any]) -> Verdict | None:
    """Return the most serious finding; None if the result has no total return."""
    earned, held = (_dig(result, part, "total_return") for part in ("metrics", "benchmark"))
    if held is None:
        held = _dig(result, "benchmark", "metrics", "total_return")
    if not isinstance(earned, int | float):
        return None
    figures = f"{_signed_percent(earned)} after costs; buy and hold {_signed_percent(held)}."
    return (
        _invalid(result, figures)
        or _unprofitable(result, earned, held, figures)
        or _doubtful(result, figures)
    )


def _invalid(result: dict[str, Any], figures: str) -> Verdict | None:
    codes = warning_codes(result)
    if _dig(result, "audit", "look_ahead", "passed") is False:
        return Verdict("bad", "Not valid", f"The decisions depend on later bars. {figures}")
    if _dig(result, "metrics", "trades") == 0:
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


def _dig(data: Any, *path: str) -> Any:
    """Return the value below nested mappings; None where a part of the path is missing."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _signed_percent(value: Any) -> str:
    if not isinstance(value, int | float):
        return "–"
    return f"{value * 100:+.1f} %".replace("-", "−")
