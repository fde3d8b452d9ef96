"""The terms of studies, explained where pages use them; the documentation has the definitions."""

from dataclasses import dataclass

from dashboard.documentation.rendering import page_address

FIGURES_OF_STUDIES = "correctness#the-winner-of-many-trials"


@dataclass(frozen=True, slots=True)
class Term:
    title: str
    meaning: str
    document: str = FIGURES_OF_STUDIES

    @property
    def address(self) -> str:
        name, _, anchor = self.document.partition("#")
        return f"{page_address(name)}#{anchor}"


FIGURES = {
    "sharpe": Term("Winner's Sharpe", "Annual Sharpe ratio of the best trial over its test days."),
    "needed_sharpe": Term(
        "Luck reaches",
        "Annual Sharpe ratio that the best of as many trials without any skill is expected to reach.",
    ),
    "dsr": Term(
        "Deflated Sharpe",
        "DSR: probability that the winner's true ratio is above what luck reaches. 0.95 or more is believed, below 0.5 is luck.",
    ),
    "pbo": Term(
        "Overfitting (PBO)",
        "Probability of backtest overfitting: how often the best trial of one half of the days is below the median in the other half. At most 0.2 is believed.",
    ),
    "spa_p": Term(
        "SPA p",
        "p-value of Hansen's test for superior predictive ability: how often the best of all trials is as good without skill. At most 0.05 is believed.",
    ),
    "reality_check_p": Term(
        "Reality check p",
        "p-value of White's test, the same question without scaling by each trial's volatility.",
    ),
    "plateau": Term(
        "Plateau",
        "Median value of the eight nearest points over the winner's. Below 0.5 the winner is a needle.",
    ),
    "holdout_sharpe": Term(
        "Holdout Sharpe",
        "Annual Sharpe ratio of the winner on the sealed days that no trial has seen.",
        "studies#studies",
    ),
    "trials_counted": Term(
        "Trials counted",
        "Trials of this study and of earlier studies on the same data: each had a chance to be lucky.",
    ),
}
"""The figures of a report, in the order of the page."""

OF_A_STUDY_FILE = (
    Term("Trial", "One point of the search space, numbered from 0.", "studies#studies"),
    Term(
        "Walk-forward",
        "Trains on a window, tests on the days after it, and moves both forward (scheme walk_forward).",
    ),
    Term(
        "CPCV",
        "Combinatorial purged cross-validation (scheme cpcv): every choice of test groups is tested once, which gives several paths through time.",
    ),
    Term("Purge", "Training rows whose label reaches into a test range are left out."),
    Term(
        "Embargo",
        "Bars after a test range that are also left out of the training, because they still depend on it.",
    ),
    Term(
        "Holdout",
        "Days at the end that the report looks at once. Each further look is counted.",
        "studies#studies",
    ),
    FIGURES["needed_sharpe"],
)
