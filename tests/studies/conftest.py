from typing import Any

import pytest

from tests.studies.lab import STRATEGY, STUDY, add_bars, add_model, add_workers


@pytest.fixture
def body(db: None) -> dict[str, Any]:
    """The request of a study of decisions, whose data, model and workers exist."""
    add_bars()
    add_workers()
    return {"strategy_yaml": STRATEGY, "study_yaml": STUDY, "model": add_model().pk}
