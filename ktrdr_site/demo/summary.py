"""The demo's result beside buy and hold. A strategy that loses is reported as losing."""

from typing import Any

Json = dict[str, Any]

ROWS = [
    ("total return", "total_return", "percent"),
    ("return a year", "cagr", "percent"),
    ("volatility a year", "volatility", "percent"),
    ("Sharpe ratio", "sharpe", "number"),
    ("worst drawdown", "max_drawdown", "percent"),
    ("time in the market", "exposure", "percent"),
    ("trades", "trades", "count"),
    ("win rate", "win_rate", "percent"),
    ("fees", "fees", "money"),
    ("final equity", "final_equity", "money"),
]


def summarize(result: Json) -> list[str]:
    """Return the lines of a table for a terminal, with the verdict and the warnings below it."""
    own, benchmark = result["metrics"], result["benchmark"]
    lines = [f"{'':22}{'strategy':>14}{'buy and hold':>16}"]
    for label, key, form in ROWS:
        lines.append(
            f"{label:22}{format_figure(own.get(key), form):>14}{format_figure(benchmark.get(key), form):>16}"
        )
    lines.append(verdict(own["total_return"], benchmark["total_return"]))
    lines += [f"note: {warning_text(warning)}" for warning in result["warnings"]]
    return lines


VERDICTS = {
    "believed": "its winner is believed",
    "open": "whether its winner is more than luck is open",
    "luck": "its winner is luck",
}


def summarize_study(study: Json) -> list[str]:
    """Return the verdict on the study's winner with the reasons against it, or those for it."""
    report = study["report"]
    failed = [reason["message"] for reason in report["reasons"] if reason["passed"] is False]
    reasons = failed or [reason["message"] for reason in report["reasons"]]
    verdict = VERDICTS.get(report["verdict"], report["verdict"])
    return [
        f"The study tried {study['trials']['completed']:,} settings of two moving averages: {verdict}.",
        *(f"note: {reason}" for reason in reasons),
    ]


def format_figure(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    match form:
        case "percent":
            return f"{value * 100:.1f} %"
        case "count":
            return f"{value:.0f}"
        case "money":
            return f"{value:,.2f}"
        case _:
            return f"{value:.2f}"


def verdict(own: float, benchmark: float) -> str:
    outcome = "made money" if own > 0 else "lost money" if own < 0 else "neither made nor lost money"
    if own > benchmark:
        compared = "more than buying and holding did"
    elif own < benchmark:
        compared = "less than buying and holding would have made"
    else:
        compared = "as much as buying and holding"
    return f"After costs the strategy {outcome}: {own * 100:+.1f} %, {compared} ({benchmark * 100:+.1f} %)."


def warning_text(warning: Any) -> str:
    return str(warning.get("message") or warning) if isinstance(warning, dict) else str(warning)
