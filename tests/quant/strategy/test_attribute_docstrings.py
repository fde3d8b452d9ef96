from datetime import date
from typing import Any

import pytest
from pydantic import Field

from workers.strategy.sections.base import Section


class Range(Section):
    from_: date = Field(alias="from")
    """The first day."""
    until: date = Field(description="Stated.")
    """Not used: the field has a description."""
    bare: int = 0

    _private: int = 0
    """Not a key."""


class NamedRange(Range):
    bare: int = 1
    """Described only here."""
    name: str
    """The name
    of the range."""


def descriptions(model: type[Section], mode: Any) -> dict[str, str | None]:
    properties = model.model_json_schema(mode=mode)["properties"]
    return {key: definition.get("description") for key, definition in properties.items()}


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_key_is_described_by_the_docstring_below_it_unless_it_has_a_description(mode: str) -> None:
    assert descriptions(Range, mode) == {"from": "The first day.", "until": "Stated.", "bare": None}


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_section_keeps_the_descriptions_of_its_base_and_may_replace_them(mode: str) -> None:
    assert descriptions(NamedRange, mode) == {
        "from": "The first day.",
        "until": "Stated.",
        "bare": "Described only here.",
        "name": "The name\nof the range.",
    }
