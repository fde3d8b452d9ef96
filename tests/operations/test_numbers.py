"""Numbers on pages have no exponent and keep their significant digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.presentation.numbers import basis_points, quantity, short

numbers = st.floats(1e-9, 1e12) | st.floats(-1e12, -1e-9)


@given(numbers)
def test_no_number_has_an_exponent_or_loses_its_first_digits(value: float) -> None:
    for text, precision in ((short(value), 5e-4), (quantity(value), 5e-6)):
        assert "e" not in text
        read = float(text.replace("\u202f", "").replace("−", "-"))
        assert read == pytest.approx(value, rel=precision)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00001234, "0.00001234"), (120.5, "120.5"), (1_250_000, "1\u202f250\u202f000"), (0, "0"), (None, "–")],
)
def test_quantities(value: float | None, text: str) -> None:
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "10 bp"), (0.0005, "5 bp"), (0.000012, "0.12 bp"), (0.0, "0 bp"), (None, "–")]
)
def test_costs_are_in_basis_points(value: float | None, text: str) -> None:
    assert basis_points(value) == text
