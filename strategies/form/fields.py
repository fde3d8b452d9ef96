"""The inputs of the form's values."""

from operations.presentation.forms import Field, Input
from strategies.form.parts import field_name
from strategies.form.shapes import Shape
from workers.strategy.nested_values import Path

_KINDS: dict[str, Input] = {"number": "number", "area": "area", "choice": "choice"}


def field_of(
    path: Path, label: str, shape: Shape, text: str, help_text: str = "", *, is_required: bool = False
) -> Field:
    """Return the input of a value; a choice also offers the value of the file, valid or not."""
    choices = tuple(dict.fromkeys(("", *shape.choices, text))) if shape.kind == "choice" else ()
    return Field(
        name=field_name(path),
        kind=_KINDS.get(shape.kind, "text"),
        label=label,
        value=text,
        help=help_text,
        choices=choices,
        is_required=is_required,
    )


def help_of(meaning: str, limits: str, default: str) -> str:
    """Join what a value means, its range and its default to sentences."""
    sentences = (
        meaning and f"{meaning.rstrip('.')}.",
        limits and f"{limits[0].upper()}{limits[1:]}.",
        default and f"Default: {default}.",
    )
    return " ".join(filter(None, sentences))


def choice_field(name: str, label: str, choices: tuple[str, ...]) -> Field:
    """Return a choice of an adder, which is empty until somebody chooses."""
    return Field(name, "choice", label, choices=("", *choices), is_required=True)


def text_field(name: str, label: str, help_text: str = "") -> Field:
    return Field(name, "text", label, help=help_text, is_required=True)
