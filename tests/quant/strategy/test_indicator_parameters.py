"""Every parameter of every indicator in the catalog changes the result."""

import numpy as np
import pandas as pd
import pytest

from workers.strategy.catalog import IndicatorParameter, Value
from workers.strategy.indicator_catalog import INDICATORS
from workers.strategy.indicators import compute

PARAMETERS = [
    (name, parameter)
    for name, entry in INDICATORS.items()
    for parameter in entry.parameters
    if parameter.kind != "symbol"  # selects other bars: test_other_symbols
]


def other_value(parameter: IndicatorParameter) -> Value:
    """A valid value that is not the default."""
    default = parameter.default
    match parameter.kind:
        case "choice":
            return next(choice for choice in parameter.choices if choice != default)
        case "bool":
            return not default
        case "expression":
            return f"2 * ({default})"
    assert isinstance(default, int | float)
    larger = default + 3 if parameter.kind == "int" else default * 1.5
    value = larger if parameter.check(larger) is None else default - 1
    assert parameter.check(value) is None
    return value


@pytest.mark.parametrize(
    ("name", "parameter"), PARAMETERS, ids=[f"{name} {parameter.name}" for name, parameter in PARAMETERS]
)
def test_a_parameter_changes_the_result(name: str, parameter: IndicatorParameter, bars: pd.DataFrame) -> None:
    """Lesson Q30."""
    defaults = {each.name: each.default for each in INDICATORS[name].parameters}
    plain = compute(name, bars, **defaults)
    other = compute(name, bars, **{**defaults, parameter.name: other_value(parameter)})
    assert any(not np.array_equal(plain[output], other[output], equal_nan=True) for output in plain)
