"""`model`: the kind of network and its shape."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workers.strategy.sections.base import Section

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]

LayerWidth = Annotated[int, Field(ge=1, le=4096)]
Dropout = Annotated[float, Field(ge=0.0, le=0.9)]


class InputFeatures(Section):
    """How the inputs of `nn_inputs` reach the network."""

    lookback_periods: int = Field(default=0, ge=0, le=100)
    """Earlier bars whose inputs are appended to each row. Sequence models have `sequence_length` instead."""
    scale_features: bool = False
    """Standardise every input that has no `normalization` of its own (mean and deviation of the training part)."""
    include_price_context: Literal[False] = False
    """Not carried out."""


class _Architecture(Section):
    dropout: Dropout = 0.0
    """After each hidden layer, between recurrent layers, or of rules."""
    output_activation: Literal["softmax", "linear"] | None = None
    """Only a statement: softmax for classification, linear for regression; anything else is refused."""


class MLPArchitecture(_Architecture):
    hidden_layers: tuple[LayerWidth, ...] = Field(default=(64, 32), min_length=1, max_length=16)
    """Widths, from the inputs on."""
    activation: Activation = "relu"


class RecurrentArchitecture(_Architecture):
    sequence_length: int = Field(default=20, ge=2, le=1000)
    """Bars in a window; a window never crosses a gap or a symbol."""
    hidden_size: int = Field(default=64, ge=1, le=2048)
    num_layers: int = Field(default=1, ge=1, le=8)

    @model_validator(mode="after")
    def _check_dropout(self) -> Self:
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                "dropout of a recurrent model lies between its layers: num_layers must be 2 or more"
            )
        return self


class TSKArchitecture(_Architecture):
    """Takagi-Sugeno-Kang rules with trainable Gaussian sets over all inputs."""

    rules: int = Field(default=16, ge=2, le=512)
    consequent: Literal["constant", "linear"] = "linear"
    """Order 0 or order 1 of the rules' conclusions."""
    initialization: Literal["kmeans", "random"] = "kmeans"
    """Where the rules' centres start: at cluster centres or at rows of the training part."""
    initial_width: float = Field(default=1.0, gt=0.0, le=10.0)
    """Standard deviation of the first Gaussian sets, in standard deviations of the input."""


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
                "lookback_periods is for models without memory; a sequence model has sequence_length"
            )
        return self


class LSTMModel(_RecurrentModel):
    type: Literal["lstm"]


class GRUModel(_RecurrentModel):
    type: Literal["gru"]


class TSKModel(_Model):
    type: Literal["tsk"]
    architecture: TSKArchitecture = TSKArchitecture()


Model = Annotated[MLPModel | LSTMModel | GRUModel | TSKModel, Field(discriminator="type")]
