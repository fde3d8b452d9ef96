"""`indicators`, `fuzzy_sets` and `nn_inputs`: the values to compute and the inputs of the model."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from workers.strategy.catalog import MEMBERSHIPS
from workers.strategy.sections.base import Identifier, Section
from workers.strategy.sections.training_data import Timeframe

ParameterValue = int | float | str | bool


class Indicator(Section):
    """One indicator: `type` is its name in the catalog; every parameter that is not given has its default."""

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
                    f"a list of {len(data)} numbers is not a membership function; write [a, b, c] (triangular), "
                    "[a, b, c, d] (trapezoidal) or {type: gaussian, parameters: [centre, sigma]}"
                )
            return {"type": shape, "parameters": data}
        if not isinstance(data, dict | Membership):
            raise ValueError(
                "a membership must be a list such as [20, 30, 40] or {type: ..., parameters: [...]}"
            )
        return data

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        MEMBERSHIPS[self.type].check(self.parameters)
        return self


class FuzzySet(Section):
    """Memberships of one indicator output. In the file they are keys beside `indicator`."""

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
    """One entry of `nn_inputs`: all memberships of a fuzzy set, or the raw values of an indicator. The inputs of the model
    are sorted by name: no order in a file changes a training."""

    fuzzy_set: str | None = None
    """Name of a fuzzy set; each of its memberships becomes an input."""
    raw_indicator: str | None = None
    """Name of an indicator or of its output; its value becomes the input."""
    timeframes: Literal["all"] | tuple[Timeframe, ...] = "all"
    """Timeframes of the strategy on which to compute the indicator; each one adds separate inputs."""
    normalization: Literal["none", "minmax", "zscore"] | None = None
    """Scaling of a raw indicator; fitted on the training part only and saved with the model."""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.fuzzy_set is None) == (self.raw_indicator is None):
            raise ValueError("an input needs either a fuzzy_set or a raw_indicator, not both")
        if self.normalization is not None and self.fuzzy_set is not None:
            raise ValueError(
                "normalization applies to raw_indicator only; memberships are already between 0 and 1"
            )
        if not self.timeframes:
            raise ValueError("timeframes is empty; write all or a list of timeframes")
        return self
