"""`indicators`, `fuzzy_sets` and `nn_inputs`: what is computed and what the model sees of it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from workers.strategy.catalog import MEMBERSHIPS
from workers.strategy.sections.base import Identifier, Section
from workers.strategy.sections.training_data import Timeframe

ParameterValue = int | float | str | bool


class Indicator(Section):
    """One entry of `indicators`: `type` is the catalog's own name and every parameter has its value."""

    type: str
    parameters: dict[str, ParameterValue]


class Membership(Section):
    """A fuzzy set over an indicator's values: triangular [a, b, c], trapezoidal [a, b, c, d] or
    gaussian [centre, sigma]."""

    type: Literal["triangular", "trapezoidal", "gaussian"]
    parameters: tuple[float, ...]

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, data: Any) -> Any:
        if isinstance(data, tuple):
            shape = {3: "triangular", 4: "trapezoidal"}.get(len(data))
            if shape is None:
                raise ValueError(
                    f"a list of {len(data)} numbers is no membership function; write [a, b, c] (triangular), "
                    "[a, b, c, d] (trapezoidal) or {type: gaussian, parameters: [centre, sigma]}"
                )
            return {"type": shape, "parameters": data}
        if not isinstance(data, dict | Membership):
            raise ValueError("a membership is a list such as [20, 30, 40] or {type: ..., parameters: [...]}")
        return data

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        MEMBERSHIPS[self.type].check(self.parameters)
        return self


class FuzzySet(Section):
    """Memberships of one indicator output. In the file they stand beside `indicator`, in this order."""

    indicator: str
    memberships: dict[Identifier, Membership] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _gather_memberships(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        memberships = {key: value for key, value in data.items() if key != "indicator"}
        if not memberships:
            raise ValueError("a fuzzy set needs at least one membership, for example low: [0, 20, 40]")
        return {key: data[key] for key in ("indicator",) if key in data} | {"memberships": memberships}


class NNInput(Section):
    """One line of `nn_inputs`: all memberships of a fuzzy set, or an indicator's own values."""

    fuzzy_set: str | None = None
    """Each of its memberships is an input."""
    raw_indicator: str | None = None
    """Its value itself is the input."""
    timeframes: Literal["all"] | tuple[Timeframe, ...] = "all"
    """On which of the strategy's timeframes the indicator is computed; each gives inputs of its own."""
    normalization: Literal["none", "minmax", "zscore"] | None = None
    """Of a raw indicator; fitted on the training part only and saved with the model."""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.fuzzy_set is None) == (self.raw_indicator is None):
            raise ValueError("an input names either a fuzzy_set or a raw_indicator, one of them")
        if self.normalization is not None and self.fuzzy_set is not None:
            raise ValueError("normalization is for raw_indicator; memberships lie between 0 and 1 already")
        if not self.timeframes:
            raise ValueError("timeframes names no timeframe; write all or a list")
        return self
