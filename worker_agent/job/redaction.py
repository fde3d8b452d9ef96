"""Removes the job's secrets from every text that the job sends.

A secret is found unchanged, escaped as in JSON and in `repr`, percent-encoded, and in base64; each line of a secret with
several lines is found too. A secret that the job changes in another way, or writes into a file of the result, is not.
"""

import base64
import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST_LINE = 8
"""Shorter lines of a secret with several lines may be ordinary text, such as the end of a key."""
MARK = "[secret {}]"


class Redaction:
    """Replaces secrets by their names."""

    def __init__(self, secrets: Collection[tuple[str, str]]) -> None:
        """`secrets`: pairs of name and value."""
        self._names = {form: name for name, value in secrets for form in _forms(value)}
        forms = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: MARK.format(self._names[found[0]]), text)

    def json_object(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON object with each of its texts replaced, keys included."""
        return value if self._pattern is None else {self.text(key): self._inside(value[key]) for key in value}

    def _inside(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self.json_object(value)
        if isinstance(value, list):
            return [self._inside(item) for item in value]
        return value


def _forms(value: str) -> set[str]:
    """Return the texts by which the value is recognised."""
    lines = {line.strip() for line in value.splitlines()}
    parts = {value, value.strip(), *(line for line in lines if len(line) >= SHORTEST_LINE)}
    forms = set(parts)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        forms |= {json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1]}
        forms |= {quote(encoded, safe=""), quote(encoded), quote_plus(encoded)}
        forms |= {
            encode(encoded).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)
        }
    return {form for form in forms if form}
