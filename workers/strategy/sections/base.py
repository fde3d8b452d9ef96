"""The base class and the value types of all sections of a strategy file."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from workers.strategy.catalog import SYMBOL_PATTERN


class Section(BaseModel):
    """A frozen part of a strategy. Unknown keys are rejected and types are not coerced ("14" is not a number)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        # The docstring below a key becomes its description in the schema and in docs/strategy-grammar.md.
        use_attribute_docstrings=True,
    )


def _parse_iso_date(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("write a date as YYYY-MM-DD, for example 2010-01-31") from None
    return value


Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
"""The name of an indicator, a fuzzy set or a membership, as chosen in the file; it becomes part of input names."""

Symbol = Annotated[str, StringConstraints(pattern=SYMBOL_PATTERN)]
IsoDate = Annotated[date, BeforeValidator(_parse_iso_date)]
"""A calendar day (UTC), written YYYY-MM-DD."""
