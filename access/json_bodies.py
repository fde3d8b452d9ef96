"""JSON bodies of the API, bounded in depth: a deeper nesting ends Python's own parser with an error of the server."""

import re
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 200
STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
OTHER_BYTES = bytes(code for code in range(256) if code not in b"[]{}")


class BoundedJSONParser(JSONParser):
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the data. Raises ParseError (400)."""
        content = stream.read()
        try:
            data: dict[str, Any] = super().parse(BytesIO(content), media_type, parser_context)
        except RecursionError as error:
            raise _too_deep() from error
        if is_deeper(content, MAX_DEPTH):
            raise _too_deep()
        return data


def is_deeper(document: bytes, depth: int) -> bool:
    """Return whether arrays and objects are nested deeper than `depth`. The document is valid JSON."""
    brackets = STRING.sub(b"", document).translate(None, OTHER_BYTES)
    level = 0
    for bracket in brackets:
        level += 1 if bracket in b"[{" else -1
        if level > depth:
            return True
    return False


def _too_deep() -> ParseError:
    return ParseError(f"JSON parse error - arrays and objects are nested more than {MAX_DEPTH} levels deep")
