"""Edits of strategy files: one value changes, and every other character stays."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.strategy.document import read_document
from workers.strategy.nested_values import Path
from workers.strategy.text_edits import EditError, remove_value, set_values

EXAMPLES = sorted((File(__file__).parents[3] / "examples" / "strategies").glob("*.yaml"))
NAMES = st.sampled_from(["a", "b2", "long", "rsi_14", "type", "list"])
TEXTS = st.sampled_from(
    ["x", "close > shift(high, 1) and a[0]", "yes", "1e-3", "", "a: b # c", "ü", "two\nlines"]
)
SCALARS = st.one_of(st.integers(-999, 999), st.floats(-1e6, 1e6, width=32), st.booleans(), TEXTS)
PLAIN = {"x": "x", "ü": "ü", "yes": "yes"}
COMMENT = re.compile(r"#~\d+")


class Written:
    """Writes values as a person may: block and flow style, quotes, comments, empty lines, folded text."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._comments = 0

    def scalar(self, value: Any) -> str:
        if isinstance(value, str):
            if value in PLAIN and self._draw(st.booleans()):
                return value
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        return str(value).lower() if isinstance(value, bool) else repr(value)

    def flow(self, value: Any) -> str:
        match value:
            case dict():
                return "{" + ", ".join(f"{key}: {self.flow(item)}" for key, item in value.items()) + "}"
            case tuple():
                return "[" + ", ".join(map(self.flow, value)) + "]"
        return self.scalar(value)

    def comment(self) -> str:
        self._comments += 1
        return f"#~{self._comments}"

    def lines(self, value: Any, column: int) -> Iterator[str]:
        space = " " * column
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in entries:
            if self._draw(st.integers(0, 4)) == 0:
                yield from ["", f"{space}{self.comment()}"]
            start = f"{space}{key}:" if isinstance(value, dict) else f"{space}-"
            tail = f"   {self.comment()}" if self._draw(st.integers(0, 4)) == 0 else ""
            if isinstance(item, dict | tuple) and item and self._draw(st.booleans()):
                yield start + tail
                yield from self.lines(item, column + self._draw(st.integers(1, 3)) + 1)
            elif item == "x" and self._draw(st.booleans()):
                yield from [f"{start} >-{tail}", f"{space}    x", ""]
            else:
                yield f"{start} {self.flow(item)}{tail}"


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=3), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


@st.composite
def texts(draw: Any) -> str:
    values = draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
    return "\n".join(Written(draw).lines(values, 0)) + draw(st.sampled_from(["", "\n", "\n\n# end\n"]))


def paths_of(data: Any, path: Path = ()) -> Iterator[Path]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, tuple) else ()
    for key, item in entries:
        yield (*path, key)
        yield from paths_of(item, (*path, key))


def value_at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def flat(data: Any) -> list[tuple[Path, str]]:
    """The scalars and empty parts in order, each with its path and type."""
    return [
        (path, repr(value))
        for path in paths_of(data)
        if not isinstance(value := value_at(data, path), dict | tuple) or not value
    ]


def below(path: Path, top: Path) -> bool:
    return path[: len(top)] == top


@settings(max_examples=25, deadline=None)
@given(texts(), SCALARS, st.data())
def test_a_changed_value_leaves_other_values_and_all_comments(
    text: str, new: Any, data: st.DataObject
) -> None:
    before = read_document(text).data
    scalars = [p for p in paths_of(before) if not isinstance(value_at(before, p), dict | tuple)]
    if not scalars:
        return
    path = data.draw(st.sampled_from(scalars))
    changed = set_values(text, {path: new})
    after = read_document(changed).data
    assert repr(value_at(after, path)) == repr(new)
    assert [item for item in flat(after) if item[0] != path] == [
        item for item in flat(before) if item[0] != path
    ]
    assert COMMENT.findall(changed) == COMMENT.findall(text)
    assert len(set(changed.splitlines()) - set(text.splitlines())) <= 1 or "\n" in str(value_at(before, path))


@settings(max_examples=25, deadline=None)
@given(texts(), st.data())
def test_a_removed_value_takes_only_its_own_comments(text: str, data: st.DataObject) -> None:
    before = read_document(text).data
    path = data.draw(st.sampled_from(list(paths_of(before))))
    changed = remove_value(text, path)
    after = read_document(changed).data
    parent = value_at(after, path[:-1])
    assert len(parent) == len(value_at(before, path[:-1])) - 1
    if isinstance(parent, dict):
        assert [item for item in flat(before) if not below(item[0], path)] == [
            item for item in flat(after) if item[0] != path[:-1]
        ]
    lost = Counter(text.splitlines()) - Counter(changed.splitlines())
    outside = [line for line in text.splitlines() if line.startswith("#~")]
    assert not [line for line in lost if line in outside and len(path) == 1]


@settings(max_examples=25, deadline=None)
@given(texts(), VALUES, st.data())
def test_an_added_value_stands_last_and_changes_no_other_line(
    text: str, new: Any, data: st.DataObject
) -> None:
    before = read_document(text).data
    sections = [
        (),
        *(p for p in paths_of(before) if isinstance(value_at(before, p), dict) and value_at(before, p)),
    ]
    path = (*data.draw(st.sampled_from(sections)), "added")
    changed = set_values(text, {path: new})
    after = read_document(changed).data
    assert repr(value_at(after, path)) == repr(new)
    assert list(value_at(after, path[:-1]))[-1] == "added"
    assert [item for item in flat(after) if not below(item[0], path)] == flat(before)
    assert COMMENT.findall(changed) == COMMENT.findall(text)
    assert repr(read_document(remove_value(changed, path)).data) == repr(before)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_scalar_of_an_example_changes_on_its_line_only(file: File, data: st.DataObject) -> None:
    text = file.read_text()
    values = read_document(text).data
    scalars = [p for p in paths_of(values) if not isinstance(value_at(values, p), dict | tuple)]
    path = data.draw(st.sampled_from(scalars))
    changed = set_values(text, {path: "another" if isinstance(value_at(values, path), str) else 7})
    lines = list(zip(text.splitlines(), changed.splitlines(), strict=path != ("description",)))
    assert path == ("description",) or sum(old != new for old, new in lines) == 1
    assert re.findall(r"#.*", changed) == re.findall(r"#.*", text)


@pytest.mark.parametrize(
    ("text", "values", "changed"),
    [
        ("a: 1 # one\n", {("a",): 2}, "a: 2 # one\n"),
        ("a:\nb: 1\n", {("a",): "x"}, "a: x\nb: 1\n"),
        ("a:\nb: 1\n", {("a", "c"): 2}, "a: {c: 2}\nb: 1\n"),
        ("a: [1, 2]\n", {("a",): (1, 3, 4)}, "a: [1, 3, 4]\n"),
        ("a:\n  - x # x\n  - y\nb: 1\n", {("a",): ("x", "z", "w")}, "a:\n  - x # x\n  - z\n  - w\nb: 1\n"),
        ("a:\n  - x # x\n  - y # y\n", {("a",): ("x",)}, "a:\n  - x # x\n"),
        ("a: {}\nb: 1\n", {("a", "n", "type"): "sma"}, "a: {n: {type: sma}}\nb: 1\n"),
        ("a: >\n  one\n  two\n\nb: 1\n", {("a",): "three four\n"}, "a: >\n  three four\n\nb: 1\n"),
        ("a: |\n  one\n\nb: 1\n", {("a",): "1\n2\n"}, "a: |\n  1\n  2\n\nb: 1\n"),
        ("a:\n  b: 1\n\n# about c\nc: 2\n", {("a", "d"): 3}, "a:\n  b: 1\n  d: 3\n\n# about c\nc: 2\n"),
        ("a: 1", {("b",): {"c": 2}}, "a: 1\n\nb:\n  c: 2\n"),
        ("a: none\n", {("a",): (1, 2)}, "a: [1, 2]\n"),
        ("a:\n  - 1\n  - 2\nb: 1\n", {("a",): "all"}, "a: all\nb: 1\n"),
    ],
)  # fmt: skip
def test_values_are_written_where_they_belong(text: str, values: dict[Path, Any], changed: str) -> None:
    assert set_values(text, values) == changed


@pytest.mark.parametrize(
    ("text", "path", "changed"),
    [
        ("a: 1 # one\n# two\nb: 2\n", ("a",), "# two\nb: 2\n"),
        ("a: {b: 1, c: 2}\n", ("a", "b"), "a: {c: 2}\n"),
        ("a: {b: 1, c: 2}\n", ("a", "c"), "a: {b: 1}\n"),
        ("a:\n  b: 1\n# c\nc: 2\n", ("a", "b"), "a: {}\n# c\nc: 2\n"),
        ("a:\n  - b: 1\n    c: 2\n", ("a", 0, "b"), "a:\n  -\n    c: 2\n"),
        ("a:\n  - b: 1\n  # two\n  - b: 2\n", ("a", 0), "a:\n  # two\n  - b: 2\n"),
        ("a: [1, # one\n  2]\n", ("a", 1), "a: [1 # one\n]\n"),
    ],
)
def test_values_are_removed_with_their_lines(text: str, path: Path, changed: str) -> None:
    assert remove_value(text, path) == changed


def test_a_value_without_parts_gets_none() -> None:
    with pytest.raises(EditError):
        set_values("a: 1\n", {("a", "b"): 2})
    with pytest.raises(EditError):
        remove_value("a: 1\n", ("b",))
