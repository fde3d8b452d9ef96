"""Values as error messages show them."""

MAX_CHARACTERS = 80


def shorten(text: str) -> str:
    """Cut `text` to 80 characters; an ellipsis marks the cut."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def quote(value: object) -> str:
    """Return `value` as a strategy file would write it, at most 80 characters of it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a section"
        case tuple() | list():
            return f"a list of {len(value)}"
        case str():
            return repr(shorten(value))
    return shorten(repr(value))
