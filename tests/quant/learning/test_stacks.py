"""Networks that are trained as one computation, compared bit for bit with those that are trained alone."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.quant.learning.conftest import synthetic
from tests.quant.learning.test_training_pipeline import KINDS, with_sections
from workers.learning import checkpoint, stacks
from workers.learning.prepared_data import PreparedData, prepare_data
from workers.learning.stacked_training import Waiting, train_together
from workers.learning.stacks import stack_key
from workers.learning.trainer import start, train
from workers.learning.training_loop import Diverged, Epoch, Loop, State, TrainedNetwork
from workers.strategy.grammar import TrainedStrategy, parse_trained_strategy

CPU = torch.device("cpu")
Result = TrainedNetwork | Exception

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"architecture": {"dropout": 0.2}},
    "tanh": {"architecture": {"hidden_layers": [5, 3], "activation": "tanh"}},
    "gelu": {"architecture": {"hidden_layers": [7], "activation": "gelu", "dropout": 0.3}},
    "leaky_relu": {"architecture": {"hidden_layers": [7], "activation": "leaky_relu"}},
    "odd batches": {"training": {"batch_size": 37}},
    "class weights": {
        "training": {"class_weights": "balanced", "label_smoothing": 0.1, "optimizer": "adamw"}
    },
    "focal": {"training": {"loss": "focal", "gradient_clip": 0.05}},
    "sgd": {"training": {"optimizer": "sgd", "lr_scheduler": {"type": "cosine"}}},
    "early stopping": {"training": {"epochs": 20, "early_stopping": {"patience": 2}}},
    "regression": {
        "decisions": {"output_format": "regression"},
        "training": {"huber_delta": 0.02, "labels": {"source": "forward_return", "horizon": 2}},
    },
}


def text(variant: str, rate: float, decay: float = 0.0) -> str:
    sections = VARIANTS[variant]
    architecture = {"hidden_layers": [16, 8], "dropout": 0.0, **sections.get("architecture", {})}
    training = {"learning_rate": rate, "weight_decay": decay, **sections.get("training", {})}
    decisions = sections.get("decisions", {})
    return with_sections(
        model={"type": "mlp", "architecture": architecture}, training=training, decisions=decisions
    )


class Case:
    """A training of a strategy, on bars and with a seed of its own."""

    def __init__(self, strategy: str, number: int, bars: int = 400) -> None:
        self.strategy: TrainedStrategy = parse_trained_strategy(strategy)
        self.data: PreparedData = prepare_data(
            self.strategy, {"AAA": {"1d": synthetic(number, n=bars, persistence=0.3)}}
        )
        self.seed = 7 + number
        self.result: Result | None = None

    def start(self, **options: Any) -> Loop:
        return start(
            self.strategy.model,
            self.strategy.training,
            self.data.x,
            self.data.parts,
            seed=self.seed,
            device=CPU,
            label_scale=self.data.label_scale,
            **options,
        )

    @property
    def key(self) -> object:
        return stack_key(self.strategy.model, self.strategy.training, self.data, CPU)

    def waiting(self, **options: Any) -> Waiting:
        return Waiting(self.key, lambda: self.start(**options), self._take)

    def _take(self, result: Result) -> None:
        assert self.result is None, "it ended twice"
        self.result = result


def cases(variant: str, count: int = 5) -> list[Case]:
    """Return trainings of one stack; the first two have the same rates."""
    return [
        Case(text(variant, 0.01 * max(1, number), 0.001 * (number // 3)), number) for number in range(count)
    ]


def assert_same(stacked: Result | None, alone: TrainedNetwork) -> None:
    assert isinstance(stacked, TrainedNetwork), stacked
    assert stacked.history == alone.history
    assert (stacked.best_epoch, stacked.stopped) == (alone.best_epoch, alone.stopped)
    weights = stacked.network.state_dict()
    for name, tensor in alone.network.state_dict().items():
        assert torch.equal(weights[name], tensor), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_of_a_stack_has_the_bits_of_the_one_that_is_trained_alone(variant: str) -> None:
    stack = cases(variant)
    assert len({each.key for each in stack}) == 1
    assert stack[0].key is not None
    train_together([each.waiting() for each in stack])
    for each in stack:
        assert_same(each.result, train(each.start()))


def test_networks_that_cannot_be_stacked_are_trained_alone() -> None:
    """Other architectures, other numbers of rows and inputs, and recurrent networks among those of a stack."""
    mixed = [
        *cases("dropout", 2),
        Case(text("plain", 0.01), 3),
        Case(text("plain", 0.01), 4, bars=440),
        *(Case(KINDS[kind], 5) for kind in ("lstm", "tsk")),
        *cases("plain", 2),
    ]
    assert [each.key is None for each in mixed] == [False] * 4 + [True] * 2 + [False] * 2
    train_together([each.waiting() for each in mixed])
    for each in mixed:
        assert_same(each.result, train(each.start()))


def test_products_that_would_differ_in_a_bit_are_made_for_one_network_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_another_order(*operands: torch.Tensor) -> torch.Tensor:
        x, weight, bias = operands
        half = x.shape[2] // 2
        first = x[:, :, :half] @ weight[:, :, :half].transpose(1, 2)
        return first + x[:, :, half:] @ weight[:, :, half:].transpose(1, 2) + bias.unsqueeze(1)

    monkeypatch.setattr(stacks, "all_at_once", in_another_order)
    stack = cases("plain", 3)
    train_together([each.waiting() for each in stack])
    for each in stack:
        assert_same(each.result, train(each.start()))


def test_a_network_whose_loss_is_nan_leaves_the_others() -> None:
    stack = cases("plain", 3)
    stack[2].data.x[:] = math.nan
    train_together([each.waiting() for each in stack])
    assert isinstance(stack[2].result, Diverged)
    for each in stack[:2]:
        assert_same(each.result, train(each.start()))


@pytest.mark.parametrize("variant", ["dropout", "early stopping"])
def test_a_stack_that_is_interrupted_goes_on_with_the_same_bits_stacked_or_alone(variant: str) -> None:
    """Each network is saved after another epoch, so that they go on from different ones."""
    saved: list[dict[str, bytes]] = [{} for _ in range(3)]

    def saving(number: int) -> Callable[[State, Epoch], bool]:
        def on_epoch(state: State, epoch: Epoch) -> bool:
            saved[number] = checkpoint.pack(state, str(number))
            return epoch.epoch <= number

        return on_epoch

    def restoring(number: int) -> Callable[[State], None]:
        files = saved[number]
        return lambda state: checkpoint.restore(state, *files.values(), str(number))

    train_together([each.waiting(on_epoch=saving(number)) for number, each in enumerate(cases(variant, 3))])
    stacked = cases(variant, 3)
    train_together([each.waiting(restore=restoring(number)) for number, each in enumerate(stacked)])
    for number, each in enumerate(stacked):
        whole = train(each.start())
        assert len(whole.history) > number + 1, "it was not interrupted"
        assert_same(each.result, whole)
        assert_same(train(each.start(restore=restoring(number))), whole)
