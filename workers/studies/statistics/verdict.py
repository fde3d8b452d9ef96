"""Is the winner of a study believed? The rules, and each finding as a sentence."""

import math
from dataclasses import dataclass

from workers.studies.messages import Reason, Verdict

ENOUGH_DSR = 0.95
HIGHEST_PBO = 0.2
HIGHEST_LOSS = 0.05
HIGHEST_P = 0.05
LUCK_DSR = 0.5
LUCK_PBO = 0.5
LUCK_P = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures that decide; None where one cannot be computed."""

    dsr: float | None
    pbo: float | None
    loss_probability: float | None
    """Share of the halves whose best trial loses in the other half."""
    spa_p: float | None
    holdout_sharpe: float | None
    """Annual, of the winner in the sealed part."""
    sharpe: float | None
    """Annual, of the winner."""
    needed_sharpe: float | None
    trials: int
    holdout_looks: int = 0
    plateau: float | None = None
    remedy: str = "add a holdout to the study"
    """How to test a winner that has not been tested on sealed data."""


def judge(evidence: Evidence) -> tuple[Verdict, list[Reason]]:
    """Return the verdict and its reasons.

    `believed` needs all four findings. Where all trials are nearly equally good, their order in a half is chance, and PBO is
    near one half; so a choice that hardly ever loses in the other half passes as well. `luck` is a winner that loses in the holdout, or not better than the
    best of so many trials without skill; everything else is `open`.
    """
    reasons = [
        _deflation_reason(evidence),
        _overfitting_reason(evidence),
        _snooping_reason(evidence),
        _holdout_reason(evidence),
    ]
    if all(reason.passed for reason in reasons):
        verdict = Verdict.BELIEVED
    elif _is_luck(evidence):
        verdict = Verdict.LUCK
    else:
        verdict = Verdict.OPEN
    return verdict, [*reasons, *_remarks(evidence)]


def _is_luck(evidence: Evidence) -> bool:
    if evidence.sharpe is None:
        return False
    return (
        (evidence.dsr is not None and evidence.dsr < LUCK_DSR)
        or (_overfitting_reason(evidence).passed is False and (evidence.pbo or 0.0) > LUCK_PBO)
        or (evidence.spa_p is not None and evidence.spa_p > LUCK_P)
        or (evidence.holdout_sharpe is not None and evidence.holdout_sharpe <= 0)
    )


def _deflation_reason(evidence: Evidence) -> Reason:
    if evidence.dsr is None or evidence.sharpe is None or evidence.needed_sharpe is None:
        message = "The Sharpe ratio of the winner is undefined, so it cannot be compared with that of chance."
        return Reason(code="dsr", message=message, passed=None)
    comparison = (
        f"the winner's annual Sharpe ratio is {evidence.sharpe:.2f}, and the best of {evidence.trials:,} trials "
        f"without skill reaches {evidence.needed_sharpe:.2f}"
    )
    message = (
        f"The probability that the winner is better than chance is {_share(evidence.dsr)}: {comparison}."
    )
    return Reason(code="dsr", message=message, passed=evidence.dsr >= ENOUGH_DSR)


def _overfitting_reason(evidence: Evidence) -> Reason:
    if evidence.pbo is None:
        message = "The probability of overfitting needs at least two trials with daily returns over 32 days."
        return Reason(code="pbo", message=message, passed=None)
    message = (
        f"In {_share(evidence.pbo)} of the divisions of the data into halves, the best trial of one half is below "
        "the median of the other half"
    )
    passed = evidence.pbo <= HIGHEST_PBO
    if evidence.loss_probability is not None:
        message += f"; it loses there in {_share(evidence.loss_probability)}"
        passed = passed or evidence.loss_probability <= HIGHEST_LOSS
    return Reason(code="pbo", message=f"{message}.", passed=passed)


def _snooping_reason(evidence: Evidence) -> Reason:
    if evidence.spa_p is None:
        message = "The test for data snooping needs the daily returns of at least 60 days."
        return Reason(code="spa", message=message, passed=None)
    message = (
        f"If no trial were better than cash, a winner as good as this one would appear in {_share(evidence.spa_p)} "
        "of the searches."
    )
    return Reason(code="spa", message=message, passed=evidence.spa_p <= HIGHEST_P)


def _holdout_reason(evidence: Evidence) -> Reason:
    if evidence.holdout_sharpe is None:
        message = f"The winner has not been tested on sealed data; {evidence.remedy}."
        return Reason(code="holdout", message=message, passed=None)
    looks = f", which has been used {evidence.holdout_looks} times" if evidence.holdout_looks > 1 else ""
    message = (
        f"In the holdout{looks}, the winner's annual Sharpe ratio is {evidence.holdout_sharpe:.2f} "
        f"({evidence.sharpe or math.nan:.2f} in the search)."
    )
    return Reason(code="holdout", message=message, passed=evidence.holdout_sharpe > 0)


def _remarks(evidence: Evidence) -> list[Reason]:
    """Return findings that do not decide."""
    if evidence.plateau is None:
        return []
    needle = evidence.plateau < 0.5
    shape = "a needle" if needle else "a plateau"
    message = (
        f"The winner is on {shape}: the median of its neighbours has {_share(evidence.plateau)} of its value."
    )
    return [Reason(code="plateau", message=message, passed=not needle)]


def _share(value: float) -> str:
    """Return a probability as a percentage that is 0 or 100 only if the value is."""
    if 0 < value < 0.001 or 0.999 < value < 1:
        return "less than 0.1 %" if value < 0.5 else "more than 99.9 %"
    return f"{100 * value:.1f} %"
