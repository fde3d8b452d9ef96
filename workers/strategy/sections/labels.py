"""`training.labels`: the values that the model learns to predict."""

from typing import Annotated, Literal

from pydantic import Field

from workers.strategy.sections.base import Section


class ForwardReturnLabels(Section):
    """Return from the close of a bar to the close `horizon` bars later. Classification splits it at +-`threshold`
    into short, flat and long; regression predicts the return itself."""

    source: Literal["forward_return"]
    horizon: int = Field(default=20, ge=1, le=10_000)
    """Bars."""
    threshold: float | None = Field(default=None, ge=0.0, lt=1.0)
    """Classification only; 0 if absent."""


class TripleBarrierLabels(Section):
    """Which comes first: profit target, stop, or the end of the holding period (Lopez de Prado 2018, ch. 3). Barriers
    are multiples of the volatility known at the bar; a bar that touches both counts as the stop."""

    source: Literal["triple_barrier"]
    pt_multiplier: float = Field(default=2.0, gt=0.0, le=100.0)
    """Distance of the profit target, in volatilities."""
    sl_multiplier: float = Field(default=1.5, gt=0.0, le=100.0)
    """Distance of the stop, in volatilities."""
    max_holding_period: int = Field(default=50, ge=1, le=10_000)
    """Bars. A row whose window is interrupted by the end of the data or a gap has no label."""
    vol_span: int = Field(default=50, ge=2, le=10_000)
    vol_method: Literal["atr", "ewma"] = "atr"
    """`atr`: average true range over `vol_span`; `ewma`: exponentially weighted deviation of log returns."""
    compute_weights: bool = False
    """Weight rows by the uniqueness of their label window (Lopez de Prado 2018, ch. 4)."""


class ZigzagLabels(Section):
    """Direction of the swing of at least `zigzag_threshold` that follows within `label_lookahead` bars."""

    source: Literal["zigzag"]
    zigzag_threshold: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Fraction of the price."""
    label_lookahead: int = Field(default=20, ge=1, le=10_000)
    """Bars."""


class RegimeLabels(Section):
    """Regime of the next `horizon` bars: trending up (long) or down (short) where the signed efficiency ratio
    exceeds `trending_threshold`; flat if ranging, or more volatile than `vol_crisis_threshold` times the last
    `vol_lookback` bars."""

    source: Literal["regime"]
    horizon: int = Field(default=24, ge=2, le=10_000)
    trending_threshold: float = Field(default=0.3, gt=0.0, lt=1.0)
    vol_lookback: int = Field(default=120, ge=2, le=10_000)
    vol_crisis_threshold: float = Field(default=2.0, gt=1.0, le=100.0)


Labels = Annotated[
    ForwardReturnLabels | TripleBarrierLabels | ZigzagLabels | RegimeLabels, Field(discriminator="source")
]


def label_horizon(labels: ForwardReturnLabels | TripleBarrierLabels | ZigzagLabels | RegimeLabels) -> int:
    """Return how many later bars a label may use. Splits are purged by one more (entry at the next open)."""
    match labels:
        case TripleBarrierLabels():
            return labels.max_holding_period
        case ZigzagLabels():
            return labels.label_lookahead
        case _:
            return labels.horizon
