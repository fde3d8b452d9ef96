"""Whatever a job reports can be stored: it is repaired, nothing is dropped, and each change is noted."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from worker_agent.job.main import describe
from worker_agent.job.redaction import Redaction
from worker_agent.job.repair import json_object_of, storable_name, text_of
from worker_agent.protocol import MAX_TEXT, MAX_TRACEBACK, InvalidInput, Name, OperationError, Report
from worker_agent.values import MAX_DEPTH, escape, find_fault

NAME = TypeAdapter[str](Name)
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=2**62, max_value=2**70), st.floats(),
    ANY_TEXT, st.binary(max_size=5), st.decimals(), st.datetimes(), st.timedeltas(), st.complex_numbers(),
    st.floats(width=32).map(np.float32), st.integers(0, 255).map(np.uint8), st.booleans().map(np.bool_),
    st.lists(st.floats(), max_size=3).map(np.array), st.just(object()), st.frozensets(st.integers(), max_size=3),
)  # fmt: skip
KEYS = st.one_of(ANY_TEXT, st.integers(), st.floats(), st.none(), st.tuples(st.integers()))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4), st.tuples(inner)
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_any_result_becomes_one_that_the_protocol_takes(result: dict[Any, Any]) -> None:
    notes: list[str] = []
    stored = json_object_of(result, notes.append)
    assert find_fault(stored) is None
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert len(stored) == len(result)
    assert all(find_fault(note) is None for note in notes)
    Report.model_validate({"attempt": 1, "instance_id": "a", "outcome": "completed", "result": stored})


JSON_TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
              st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=4)),
    max_leaves=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), JSON_TREES, max_size=4
    )
)
def test_what_is_storable_is_left_as_it_is(result: dict[str, Any]) -> None:
    notes: list[str] = []
    assert json_object_of(result, notes.append) == result
    assert notes == []


class Color(IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "stored", "noted"),
    [
        (float("nan"), None, "/x is nan and is stored as null"),
        (np.float32("inf"), None, "/x is inf and is stored as null"),
        (np.int64(7), 7, ""),
        (np.array([[1, 2]]), [[1, 2]], ""),
        (Decimal("1.5"), 1.5, ""),
        (Color.RED, 3, ""),
        (date(2020, 2, 3), "2020-02-03", ""),
        (datetime(2020, 2, 3, tzinfo=UTC), "2020-02-03T00:00:00+00:00", ""),
        (timedelta(minutes=1), 60.0, ""),
        ({3, 1, 2}, [1, 2, 3], ""),
        (PurePosixPath("a/b"), "a/b", ""),
        ("a\x00b\udc80", "a\\x00b\\udc80", "/x contained characters that cannot be stored; escaped"),
        (2**64, str(2**64), "/x is an integer of more than 64 bits and is stored as text"),
    ],
)
def test_a_value_that_json_does_not_have_is_converted(value: object, stored: object, noted: str) -> None:
    notes: list[str] = []
    assert json_object_of({"x": value}, notes.append) == {"x": stored}
    assert notes == ([noted] if noted else [])


def test_a_huge_integer_and_a_cycle_are_stored_as_text() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    notes: list[str] = []
    stored = json_object_of({"big": 10**5000, "cycle": cycle}, notes.append)
    assert find_fault(stored) is None
    assert any(f"more than {MAX_DEPTH} levels deep" in note for note in notes)


def test_two_keys_of_one_text_are_both_kept() -> None:
    assert json_object_of({1: "a", "1": "b"}, lambda note: None) == {"1": "a", "1_": "b"}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.one_of(
        ANY_TEXT,
        st.text(min_size=250, max_size=400),
        st.sampled_from(["a b.txt", "ü.csv", "../../etc", ".x", "my plot (1).png"]),
    )
)
def test_any_name_becomes_a_legal_one_always_the_same(name: str) -> None:
    stored = storable_name(name)
    assert NAME.validate_python(stored) == stored
    assert storable_name(name) == stored == storable_name(stored)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("report.json", "report.json"), ("model/weights.bin", "model/weights.bin"), ("a b.txt", "a_b.txt"),
        ("ü.csv", "u.csv"), ("my plot (1).png", "my_plot__1_.png"), ("../../etc/passwd", "etc/passwd"), ("", "file"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)  # fmt: skip
def test_names_stay_readable(name: str, stored: str) -> None:
    assert storable_name(name) == stored


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no")


def with_notes(error: BaseException, *notes: str) -> BaseException:
    for note in notes:
        error.add_note(note)
    return error


@pytest.mark.parametrize(
    "error",
    [
        Unprintable(),
        RuntimeError("a\x00b \udcff"),
        InvalidInput("a\x00b \udcff"),
        with_notes(RuntimeError("x"), "note \x00 \ud800"),
        ExceptionGroup("group \x00", [Unprintable(), RuntimeError("\udc80")]),
        RuntimeError("x" * 1_000_000),
        KeyboardInterrupt("\x00"),
    ],
)
def test_the_error_of_any_exception_can_be_reported(error: BaseException) -> None:
    try:
        raise error
    except BaseException as raised:
        described = describe(raised, Redaction(()))
    message = OperationError.model_validate(described)
    assert 0 < len(message.message) <= MAX_TEXT
    assert len(message.traceback or "") <= MAX_TRACEBACK
    assert type(error).__name__ in message.message or isinstance(error, InvalidInput)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ANY_TEXT)
def test_text_is_escaped_not_deleted(text: str) -> None:
    assert find_fault(text_of(text)) is None
    assert len(text_of(text)) >= len(text)
    assert escape(escape(text)) == escape(text)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a": {"b": ["x", "y\x00"]}}, "/a/b/1 contains the character \\x00, which cannot be stored"),
        ({"a": {"k\ud800": 1}}, "/a has a key that contains the character \\ud800, which cannot be stored"),
        ({"n": 2**63}, "/n is an integer of more than 64 bits"),
        ({"n": float("inf")}, "/n is inf, which JSON does not have"),
    ],
)
def test_a_receiver_rejects_a_value_with_its_place(value: dict[str, Any], fault: str) -> None:
    assert str(find_fault(value)) == fault
    with pytest.raises(ValidationError) as refusal:
        Report.model_validate({"attempt": 1, "instance_id": "a", "outcome": "completed", "result": value})
    assert fault in str(refusal.value) or "inf" in fault
