"""`decisions`: how predictions become a wanted direction."""

from typing import Annotated, Literal

from pydantic import Field

from workers.strategy.sections.base import Section


class Filters(Section):
    min_signal_separation: int = Field(default=0, ge=0, le=100_000)
    """Bars that must pass after a change of the wanted direction before the next one."""
    volume_filter: Literal[False] = False
    """Not carried out."""


class CostModel(Section):
    """A forecast return is acted upon when it exceeds `round_trip_cost * min_edge_multiplier`."""

    round_trip_cost: float = Field(default=0.003, ge=0.0, lt=1.0)
    """Commission, slippage and spread of an entry and its exit, as a fraction of the price."""
    min_edge_multiplier: float = Field(default=1.5, gt=0.0, le=100.0)


class _Decisions(Section):
    position_awareness: bool = True
    """True: a prediction without a clear signal keeps the position held. False: it asks for no position."""
    allow_short: bool = True
    """False: a short signal asks for no position."""
    filters: Filters = Filters()


class ClassificationDecisions(_Decisions):
    output_format: Literal["classification"]
    num_classes: Literal[3] = 3
    """Short, flat and long."""
    confidence_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability below which a short or long prediction is no signal."""


class RegressionDecisions(_Decisions):
    output_format: Literal["regression"]
    cost_model: CostModel = CostModel()


Decisions = Annotated[ClassificationDecisions | RegressionDecisions, Field(discriminator="output_format")]
