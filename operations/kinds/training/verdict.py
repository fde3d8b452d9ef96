"""The verdict on a trained model, from its scores on the test set."""

from typing import Any

from operations.presentation.numbers import dig, percent, short
from workers.verdicts.verdict import Verdict


def verdict(result: dict[str, Any]) -> Verdict | None:
    """Compare the test set with the simplest forecast; None if the result lacks the scores."""
    test = dig(result, "metrics", "test") or {}
    sentence, is_better = _against_simplest(test)
    if not sentence:
        return None
    if not is_better:
        return Verdict("bad", "Learned nothing that helps on unseen data", sentence)
    if result.get("warnings"):
        return Verdict("warn", "Better than guessing, with warnings", sentence)
    return Verdict("good", "Better than guessing on unseen data", sentence)


def _against_simplest(test: dict[str, Any]) -> tuple[str, bool]:
    accuracy, majority, r2 = (test.get(name) for name in ("accuracy", "majority_accuracy", "r2"))
    if isinstance(accuracy, int | float) and isinstance(majority, int | float):
        sentence = (
            f"{percent(accuracy)} of the test set is classified correctly; always naming its most frequent class would "
            f"reach {percent(majority)}."
        )
        return sentence, accuracy > majority
    if isinstance(r2, int | float):
        return f"R² on the test set is {short(r2)}; the mean as forecast has 0.", r2 > 0
    return "", False
