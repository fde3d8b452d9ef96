"""One-line description of a trained model."""

from typing import Any


def architecture(result: dict[str, Any]) -> str:
    """Return for example `MLP 32-16`, `LSTM 64 x 2, window 20`, `TSK of 16 rules`; empty without a model."""
    model = (result.get("model") or {}).get("architecture")
    if isinstance(model, str):
        return model
    if not isinstance(model, dict):
        return ""
    kind, shape = str(model.get("type", "")).upper(), model.get("architecture") or {}
    if layers := shape.get("hidden_layers"):
        return f"{kind} {'-'.join(str(size) for size in layers)}"
    if rules := shape.get("rules"):
        return f"{kind} of {rules} rules"
    if size := shape.get("hidden_size"):
        depth = f" x {shape['num_layers']}" if shape.get("num_layers", 1) > 1 else ""
        window = f", window {shape['sequence_length']}" if shape.get("sequence_length") else ""
        return f"{kind} {size}{depth}{window}"
    return kind
