"""`decisions`: how predictions become a target direction."""

from typing import Annotated, Literal

from pydantic import Field

from workers.strategy.sections.base import Section


class Filters(Section):
    min_signal_separation: int = Field(default=0, ge=0, le=100_000)
    """Minimum number of bars between two changes of the target direction."""
    volume_filter: Literal[False] = False
    """Not supported; only `false` is accepted."""


class CostModel(Section):
    """A forecast return is a signal if it exceeds `round_trip_cost * min_edge_multiplier`."""

    round_trip_cost: float = Field(default=0.003, ge=0.0, lt=1.0)
    """Commission, slippage and spread of an entry and its exit, as a fraction of the price."""
    min_edge_multiplier: float = Field(default=1.5, gt=0.0, le=100.0)


class _Decisions(Section):
    position_awareness: bool = True
    """`true`: a prediction without a clear signal keeps the current position. `false`: it closes the position."""
    allow_short: bool = True
    """`false`: a short signal only closes a long position."""
    filters: Filters = Filters()


class ClassificationDecisions(_Decisions):
    output_format: Literal["classification"]
    num_classes: Literal[3] = 3
    """Short, flat and long."""
    confidence_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """Minimum probability of a short or long prediction; a lower one is not a signal."""


class RegressionDecisions(_Decisions):
    output_format: Literal["regression"]
    cost_model: CostModel = CostModel()


Decisions = Annotated[ClassificationDecisions | RegressionDecisions, Field(discriminator="output_format")]
