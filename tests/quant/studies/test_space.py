"""Points of a search space: by arithmetic, the same everywhere, and none outside the conditions."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.studies.axis import Axis
from workers.studies.conditions import parse_condition
from workers.studies.search_section import Parameter
from workers.studies.sequences import halton
from workers.studies.space import Space

A = Axis("/a", Parameter(range=(1, 5)))
B = Axis("/b", Parameter(choices=(None, 0.1, "x")))
C = Axis("/c", Parameter(range=(1, 9), step=2))
RATE = Axis("/rate", Parameter(range=(1e-4, 0.1), scale="log"))
SHARE = Axis("/share", Parameter(range=(0.1, 0.9), step=0.1))
RANDOM_12 = {"/a": 2, "/b": "x", "/rate": 0.0223940022488}
HALTON_12 = {"/a": 2, "/b": 0.1, "/rate": 0.000346736850453}
BELOW = parse_condition("/a < /c", ["/a", "/c"])


def test_a_grid_has_every_allowed_combination_once_in_a_fixed_order() -> None:
    space = Space("grid", 0, (A, B, C), (BELOW,))
    points = [tuple(space.point(number).values()) for number in range(space.size or 0)]
    expected = {(a, b, c) for a, b, c in product(range(1, 6), (None, 0.1, "x"), (1, 3, 5, 7, 9)) if a < c}
    assert set(points) == expected
    assert len(points) == len(expected)
    assert list(space.point(0)) == ["/a", "/b", "/c"]
    with pytest.raises(IndexError):
        space.point(len(points))


@pytest.mark.parametrize("method", ["random", "halton"])
@given(number=st.integers(0, 999_999), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=60, deadline=None)
def test_a_drawn_point_is_a_function_of_seed_and_number(method: str, number: int, seed: int) -> None:
    axes = (A, B, C, RATE, SHARE)
    point = Space(method, seed, axes, (BELOW,)).point(number)
    assert point == Space(method, seed, axes, (BELOW,)).point(number)
    assert point["/a"] < point["/c"]
    assert point["/a"] in range(1, 6)
    assert point["/c"] in (1, 3, 5, 7, 9)
    assert 1e-4 <= point["/rate"] <= 0.1
    assert round(point["/share"] * 10) / 10 == point["/share"]


def test_known_points_never_change() -> None:
    """A stored study must keep its points in later versions."""
    axes = (A, B, RATE)
    assert Space("random", 7, axes).point(12) == RANDOM_12
    assert Space("halton", 7, axes).point(12) == HALTON_12


def test_halton_points_fill_each_dimension_evenly() -> None:
    for dimension in (0, 5, 29):
        counts = [0] * 10
        for number in range(1, 2001):
            counts[int(halton(3, number, dimension) * 10)] += 1
        assert max(counts) - min(counts) <= 30


def test_each_value_of_a_whole_range_is_drawn_about_as_often() -> None:
    space = Space("random", 1, (A,))
    counts = [0] * 6
    for number in range(1000):
        counts[space.point(number)["/a"]] += 1
    assert counts[0] == 0
    assert all(150 < count < 250 for count in counts[1:])


def test_corners_have_every_choice_and_the_ends_of_each_range() -> None:
    corners = list(Space("random", 1, (A, B, C), (BELOW,)).corners(100))
    assert [tuple(corner.values()) for corner in corners] == [(1, None, 9), (1, 0.1, 9), (1, "x", 9), (5, None, 9), (5, 0.1, 9), (5, "x", 9)]  # fmt: skip


def test_a_sample_of_the_corners_has_every_choice() -> None:
    many = Axis("/many", Parameter(choices=tuple(range(1000))))
    corners = list(Space("random", 1, (many, B, C, RATE)).corners(4096))
    assert len(corners) == 1000
    assert [corner["/many"] for corner in corners] == list(range(1000))
    assert {corner["/b"] for corner in corners} == {None, 0.1, "x"}
    assert {(corner["/c"], corner["/rate"]) for corner in corners} == {
        (1, 1e-4),
        (1, 0.1),
        (9, 1e-4),
        (9, 0.1),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a < 2", True),
        ("/a < 1 or /b == null", True),
        ("not /b < 3", True),
        ("/b > 3 or /b <= 3", False),
        ("2 * /a + 1 >= 3 and (/a != 2)", True),
        ("/s == 'x'", True),
    ],
)
def test_conditions_compare_values(text: str, expected: bool) -> None:
    point = {"/a": 1, "/b": None, "/s": "x"}
    assert parse_condition(text, point).holds(point) is expected
