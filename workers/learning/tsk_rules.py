"""Describe the rules of a trained neuro-fuzzy model, in the inputs' own units."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.learning.batches import EVALUATION_BATCH
from workers.learning.evaluation import CLASS_NAMES
from workers.learning.scaling import Scaler
from workers.learning.tsk import TSK

Floats = NDArray[np.float64]
MAX_NAMED_INPUTS = 5
"""Inputs named in a rule's text, those with the narrowest sets first; `rule_sets` contains all of them."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Gaussian sets of all rules in the inputs' units; float64[rules, inputs] each."""

    centre: Floats
    width: Floats

    @classmethod
    def of(cls, network: TSK, scaler: Scaler) -> "Sets":
        centres = network.centres.detach().cpu().double().numpy()
        widths = network.widths().detach().cpu().double().numpy()
        return cls(centres * scaler.scale + scaler.shift, widths * scaler.scale)

    def of_rule(self, number: int, names: tuple[str, ...]) -> dict[str, list[float]]:
        """Return input -> [centre, standard deviation]."""
        pairs = zip(names, self.centre[number], self.width[number], strict=True)
        return {name: [float(centre), float(width)] for name, centre, width in pairs}


def describe_rules(
    network: TSK,
    initial_weights: dict[str, torch.Tensor],
    scaler: Scaler,
    x: NDArray[np.float32],
    names: tuple[str, ...],
    *,
    label_mean: float,
    label_scale: float,
) -> dict[str, Any]:
    """Return `rules`, their text with the most used first, and `rule_sets`: usage, sets before and after training, and
    conclusions as data.

    `x`: scaled rows of the training part, from which usage is computed; `initial_weights`: those before the first step.
    """
    usage, strongest = _usage(network, x)
    sets_after = Sets.of(network, scaler)
    sets_before = Sets.of(_with_weights(network, initial_weights), scaler)
    outputs = network.conclusions().cpu().double().numpy()  # [rules, outputs]
    texts, rule_sets = [], []
    for number in np.argsort(-usage, kind="stable").tolist():
        conclusion = _conclusion(outputs[number], label_mean, label_scale)
        condition = _condition(sets_after, number, scaler, names)
        texts.append(f"IF {condition} THEN {_sentence(conclusion)} [fires {100 * usage[number]:.1f} %]")
        rule_sets.append(
            {
                "rule": number,
                "usage": float(usage[number]),
                "strongest": float(strongest[number]),
                "conclusion": conclusion,
                "slopes": _slopes(network, number, scaler, names, label_scale),
                "before": sets_before.of_rule(number, names),
                "after": sets_after.of_rule(number, names),
            }
        )
    return {"rules": texts, "rule_sets": rule_sets}


@torch.no_grad()
def _usage(network: TSK, x: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the mean share of each rule, and the fraction of rows in which it is the strongest."""
    rows = torch.from_numpy(x).to(network.centres.device)
    size = EVALUATION_BATCH
    shares = torch.cat([network.firing(rows[first : first + size]) for first in range(0, len(rows), size)])
    count = torch.bincount(shares.argmax(1), minlength=shares.shape[1])
    return shares.double().mean(0).cpu().numpy(), (count / len(shares)).cpu().double().numpy()


def _with_weights(network: TSK, weights: dict[str, torch.Tensor]) -> TSK:
    rules, inputs = network.centres.shape
    outputs = network.constant.shape[1]
    copy = TSK(inputs, rules, outputs, linear=network.slope is not None, width=1.0, dropout=0.0)
    copy.load_state_dict(weights)
    return copy


def _condition(sets: Sets, number: int, scaler: Scaler, names: tuple[str, ...]) -> str:
    narrowest = np.argsort(sets.width[number] / scaler.scale, kind="stable")[:MAX_NAMED_INPUTS]
    parts = [
        f"{names[i]} is near {sets.centre[number, i]:.4g} (±{sets.width[number, i]:.2g})" for i in narrowest
    ]
    others = len(names) - len(narrowest)
    return " AND ".join(parts) + (f" AND {others} wider sets match" if others else "")


def _conclusion(outputs: Floats, label_mean: float, label_scale: float) -> dict[str, float]:
    """Return the probabilities, or the forecast return, of one rule at its centre."""
    if len(outputs) == 1:
        return {"forecast": float(outputs[0] * label_scale + label_mean)}
    share = np.exp(outputs - outputs.max())
    return {name: float(value) for name, value in zip(CLASS_NAMES, share / share.sum(), strict=True)}


def _sentence(conclusion: dict[str, float]) -> str:
    if "forecast" in conclusion:
        return f"the return is {conclusion['forecast']:+.4g}"
    best = max(conclusion, key=lambda name: conclusion[name])
    others = ", ".join(f"{name} {value:.2f}" for name, value in conclusion.items() if name != best)
    return f"{best} ({conclusion[best]:.2f}; {others})"


def _slopes(
    network: TSK, number: int, scaler: Scaler, names: tuple[str, ...], label_scale: float
) -> dict[str, list[float]]:
    """Return input -> change of the conclusion per unit of the input: logits of the classes, or the return."""
    if network.slope is None:
        return {}
    slope = network.slope.detach().cpu().double().numpy()[number] * label_scale / scaler.scale[:, None]
    return {name: [float(value) for value in row] for name, row in zip(names, slope, strict=True)}
