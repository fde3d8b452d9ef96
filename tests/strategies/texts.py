"""Texts of strategies."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "strategies"
RULES = (EXAMPLES / "moving_average_cross.yaml").read_text()
TRAINED = (EXAMPLES / "rsi_macd_fuzzy.yaml").read_text()


def variant(number: int) -> str:
    """Return a valid text that differs from every other number's."""
    return f"# variant {number}\n{RULES}"
