"""The networks: MLP, LSTM, GRU and the Takagi-Sugeno-Kang neuro-fuzzy layer."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.strategy.sections.model import GRUModel, LSTMModel, MLPModel, TSKModel

ModelSpec = MLPModel | LSTMModel | GRUModel | TSKModel

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def sequence_length(spec: ModelSpec) -> int:
    """Bars that one prediction looks at; 1 for models without memory."""
    return spec.architecture.sequence_length if isinstance(spec, LSTMModel | GRUModel) else 1


def build_network(spec: ModelSpec, inputs: int, outputs: int) -> nn.Module:
    """Takes float32[batch, inputs], or [batch, length, inputs] for sequences; gives float32[batch, outputs] logits."""
    match spec:
        case MLPModel(architecture=a):
            return MLP(inputs, a.hidden_layers, outputs, a.activation, a.dropout)
        case LSTMModel(architecture=a):
            return Recurrent(nn.LSTM, inputs, a.hidden_size, a.num_layers, outputs, a.dropout)
        case GRUModel(architecture=a):
            return Recurrent(nn.GRU, inputs, a.hidden_size, a.num_layers, outputs, a.dropout)
        case TSKModel(architecture=a):
            return TSK(
                inputs,
                a.rules,
                outputs,
                linear=a.consequent == "linear",
                width=a.initial_width,
                dropout=a.dropout,
            )


class MLP(nn.Module):
    def __init__(
        self, inputs: int, hidden: tuple[int, ...], outputs: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = inputs
        for size in hidden:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)  # [batch, outputs]
        return out


class Recurrent(nn.Module):
    def __init__(
        self,
        cell: type[nn.LSTM | nn.GRU],
        inputs: int,
        hidden: int,
        layers: int,
        outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.cell = cell(inputs, hidden, layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(x)  # [batch, length, hidden]
        out: Tensor = self.head(states[:, -1])  # [batch, outputs]
        return out


class TSK(nn.Module):
    """Rules `IF x is near centre THEN y = a x + b`, weighed by how far each fires (Takagi, Sugeno 1985).

    Firing strengths stay in log space: the product of 40 Gaussian memberships is zero in float32 for most rows,
    their sum of logarithms is not, and softmax normalises it.
    """

    def __init__(
        self, inputs: int, rules: int, outputs: int, *, linear: bool, width: float, dropout: float
    ) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(rules, inputs))
        self.log_widths = nn.Parameter(torch.full((rules, inputs), math.log(width)))
        self.constant = nn.Parameter(torch.zeros(rules, outputs))
        self.slope = (
            nn.Parameter(torch.randn(rules, inputs, outputs) * 0.1 / math.sqrt(inputs)) if linear else None
        )
        self.dropout = nn.Dropout(dropout)

    def firing(self, x: Tensor) -> Tensor:
        """Share of each rule, float32[batch, rules], adding up to one."""
        precision = torch.exp(-2.0 * self.log_widths)  # [rules, inputs]
        # sum_i (x_i - c_ri)^2 p_ri, expanded, so that no [batch, rules, inputs] is made
        distance = (
            (x * x) @ precision.T
            - 2.0 * x @ (self.centres * precision).T
            + (self.centres**2 * precision).sum(1)
        )  # [batch, rules]
        # The mean over inputs keeps the softmax from saturating as inputs grow in number (Cui, Wu, Huang 2021).
        return torch.softmax(-0.5 * distance / x.shape[1], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        share = self.dropout(self.firing(x))  # [batch, rules]
        out: Tensor = share @ self.constant  # [batch, outputs]
        if self.slope is not None:
            rules, inputs, outputs = self.slope.shape
            conclusions = x @ self.slope.permute(1, 0, 2).reshape(inputs, rules * outputs)
            out = out + (share.unsqueeze(2) * conclusions.view(-1, rules, outputs)).sum(1)
        return out

    @torch.no_grad()
    def place_centres(self, x: Tensor, generator: torch.Generator, *, cluster: bool) -> None:
        """At rows of the training part, or at centres of a few rounds of Lloyd's k-means (1982) that start there."""
        rules = self.centres.shape[0]
        chosen = torch.randperm(x.shape[0], generator=generator)[:rules].to(x.device)
        centres = x[chosen.repeat(-(-rules // max(1, len(chosen))))[:rules]].clone()
        for _ in range(10 if cluster else 0):
            nearest = torch.cdist(x, centres).argmin(1)  # [rows]
            sums = torch.zeros_like(centres).index_add_(0, nearest, x)
            counts = torch.bincount(nearest, minlength=rules).unsqueeze(1)
            centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        self.centres.copy_(centres)


def loss_function(
    name: str,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 2.0,
    huber_delta: float = 1.0,
) -> "Loss":
    return Loss(name, class_weights, label_smoothing, focal_gamma, huber_delta)


class Loss(nn.Module):
    """Mean loss of a batch, each row by its weight. Classes 0, 1, 2; or one standardised value a row."""

    class_weights: Tensor | None

    def __init__(
        self,
        name: str,
        class_weights: Tensor | None,
        label_smoothing: float,
        focal_gamma: float,
        huber_delta: float,
    ) -> None:
        super().__init__()
        self.name = name
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.huber_delta = huber_delta
        self.register_buffer("class_weights", class_weights)

    def forward(self, out: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        rows = self._rows(out, y)  # [batch]
        if self.class_weights is not None:
            weight = weight * self.class_weights[y]
        return (rows * weight).sum() / weight.sum().clamp(min=1e-12)

    def _rows(self, out: Tensor, y: Tensor) -> Tensor:
        match self.name:
            case "cross_entropy":
                return functional.cross_entropy(
                    out, y, reduction="none", label_smoothing=self.label_smoothing
                )
            case "focal":  # Lin et al. 2017
                logarithm = functional.log_softmax(out, dim=1).gather(1, y.unsqueeze(1)).squeeze(1)
                return -((1.0 - logarithm.exp()) ** self.focal_gamma) * logarithm
            case "huber":
                return functional.huber_loss(out.squeeze(1), y, reduction="none", delta=self.huber_delta)
            case "mse":
                return (out.squeeze(1) - y) ** 2
            case "mae":
                return (out.squeeze(1) - y).abs()
            case other:
                raise ValueError(f"there is no loss {other}")
