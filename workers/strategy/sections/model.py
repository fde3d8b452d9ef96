"""`model`: the type of network and its architecture."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workers.strategy.sections.base import Section

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]

LayerWidth = Annotated[int, Field(ge=1, le=4096)]
Dropout = Annotated[float, Field(ge=0.0, le=0.9)]


class InputFeatures(Section):
    """How the inputs of `nn_inputs` are presented to the network."""

    lookback_periods: int = Field(default=0, ge=0, le=100)
    """Number of earlier bars whose inputs are appended to each row. Sequence models use `sequence_length` instead."""
    scale_features: bool = False
    """Standardise every input without `normalization` (mean and deviation of the training part)."""
    include_price_context: Literal[False] = False
    """Not supported; only `false` is accepted."""


class _Architecture(Section):
    dropout: Dropout = 0.0
    """Applied after each hidden layer, between recurrent layers, or to rules."""
    output_activation: Literal["softmax", "linear"] | None = None
    """Informative only: `softmax` for classification, `linear` for regression; other combinations are rejected."""


class MLPArchitecture(_Architecture):
    hidden_layers: tuple[LayerWidth, ...] = Field(default=(64, 32), min_length=1, max_length=16)
    """Widths of the layers, first hidden layer first."""
    activation: Activation = "relu"


class RecurrentArchitecture(_Architecture):
    sequence_length: int = Field(default=20, ge=2, le=1000)
    """Bars in a window. A window never crosses a gap or a symbol."""
    hidden_size: int = Field(default=64, ge=1, le=2048)
    num_layers: int = Field(default=1, ge=1, le=8)

    @model_validator(mode="after")
    def _check_dropout(self) -> Self:
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                "dropout of a recurrent model applies between its layers; set num_layers to 2 or more"
            )
        return self


class TSKArchitecture(_Architecture):
    """Takagi-Sugeno-Kang rules with trainable Gaussian sets over all inputs."""

    rules: int = Field(default=16, ge=2, le=512)
    consequent: Literal["constant", "linear"] = "linear"
    """Conclusion of each rule: a constant (order 0) or a linear function of the inputs (order 1)."""
    initialization: Literal["kmeans", "random"] = "kmeans"
    """Initial centres of the rules: cluster centres or random rows of the training part."""
    initial_width: float = Field(default=1.0, gt=0.0, le=10.0)
    """Initial standard deviation of the Gaussian sets, in standard deviations of the input."""


class _Model(Section):
    features: InputFeatures = InputFeatures()


class MLPModel(_Model):
    type: Literal["mlp"]
    architecture: MLPArchitecture = MLPArchitecture()


class _RecurrentModel(_Model):
    architecture: RecurrentArchitecture = RecurrentArchitecture()

    @model_validator(mode="after")
    def _check_lookback(self) -> Self:
        if self.features.lookback_periods:
            raise ValueError(
                "lookback_periods applies to models without memory; use sequence_length for a sequence model"
            )
        return self


class LSTMModel(_RecurrentModel):
    type: Literal["lstm"]


class GRUModel(_RecurrentModel):
    type: Literal["gru"]


class TSKModel(_Model):
    type: Literal["tsk"]
    architecture: TSKArchitecture = TSKArchitecture()


ModelSpec = MLPModel | LSTMModel | GRUModel | TSKModel
Model = Annotated[ModelSpec, Field(discriminator="type")]


def sequence_length(spec: ModelSpec) -> int:
    """Return the number of bars that one prediction uses; 1 for models without memory."""
    return spec.architecture.sequence_length if isinstance(spec, _RecurrentModel) else 1
