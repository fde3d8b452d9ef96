"""The base class and the value types of all sections of a strategy file."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from workers.strategy.attribute_docstrings import attribute_docstrings
from workers.strategy.catalog import SYMBOL_PATTERN


class Section(BaseModel):
    """A frozen part of a strategy. Unknown keys are rejected and types are not coerced ("14" is not a number)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe each key by the docstring below it, in the schema and in docs/strategy-grammar.md.

        pydantic's `use_attribute_docstrings` reads the sources at import, a sixth of the time in which the site loads.
        """
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        sections = [owner for owner in cls.__mro__ if issubclass(owner, Section)]
        for name, text in (entry for owner in sections for entry in attribute_docstrings(owner).items()):
            if (field := cls.model_fields.get(name)) is not None:
                properties[field.alias or name].setdefault("description", text)
        return schema


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
