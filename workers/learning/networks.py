"""Build the networks: MLP, LSTM and GRU; `tsk` contains the neuro-fuzzy layer."""

from torch import Tensor, nn

from workers.learning.tsk import TSK
from workers.strategy.sections.model import GRUModel, LSTMModel, MLPModel, ModelSpec, TSKModel

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def build_network(spec: ModelSpec, inputs: int, outputs: int) -> nn.Module:
    """Build a network from float32[batch, inputs], or [batch, length, inputs] for sequences, to float32[batch, outputs]
    logits."""
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
