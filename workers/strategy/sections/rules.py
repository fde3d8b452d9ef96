"""`model` and `decisions` of a strategy without training."""

from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from workers.strategy.sections.base import Section
from workers.strategy.sections.decisions import Filters

Condition = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
CONDITIONS = ("long", "short", "exit_long", "exit_short")


class RulesModel(Section):
    """No network: the conditions of `decisions` decide."""

    type: Literal["rules"]


class RulesDecisions(Section):
    """Conditions, each an [expression](#expressions) that is true or false at the close of a bar."""

    long: Condition | None = None
    """Open a long position, or turn a short one round."""
    short: Condition | None = None
    """Open a short position, or turn a long one round."""
    exit_long: Condition | None = None
    """Close a long position. While it is true, `long` opens none."""
    exit_short: Condition | None = None
    """Close a short position. While it is true, `short` opens none."""
    allow_short: bool = True
    """`false`: `short` only closes a long position."""
    filters: Filters = Filters()

    @model_validator(mode="after")
    def _check_entries(self) -> Self:
        if self.long is None and self.short is None:
            raise ValueError(
                "a rules strategy needs a condition long or short, for example long: rsi_14 < 30"
            )
        for entry in ("long", "short"):
            if getattr(self, entry) is None and getattr(self, f"exit_{entry}") is not None:
                raise ValueError(f"exit_{entry} has no effect without {entry}")
        return self

    @property
    def expressions(self) -> dict[str, str]:
        """The conditions that the file has, by name."""
        return {name: text for name in CONDITIONS if (text := getattr(self, name)) is not None}
