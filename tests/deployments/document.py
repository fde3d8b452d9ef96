"""The commands of a guide, as the reader finds them."""

import re
from collections.abc import Mapping

from tests.deployments.checkout import file_at

MARK = "sh deploy-test"
"""The info string of the blocks that the trials run."""


def blocks(page: str, heading: str, commit: str = "") -> list[str]:
    """The marked blocks below a heading of the second level, in order; of a commit, or of this checkout as it is."""
    section = re.search(rf"(?ms)^## {re.escape(heading)}$(.*?)(?=^## |\Z)", file_at(f"docs/{page}", commit))
    assert section, f"{page} has no heading {heading!r}"
    found = re.findall(rf"(?ms)^```{MARK}\n(.*?)^```$", section[1])
    assert found, f"{page}: nothing below {heading!r} is marked `{MARK}`"
    return found


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with what a reader fills in. Each value must be asked for: a guide that changes is noticed."""
    for placeholder, value in values.items():
        assert placeholder in text, f"the guide does not contain {placeholder!r}"
        text = text.replace(placeholder, value)
    return text
