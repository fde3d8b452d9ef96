"""Write `docs/api-calls.md` from `docs/openapi.yaml`: `python -m tools.api_calls`."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCUMENT, PAGE = ROOT / "docs" / "openapi.yaml", ROOT / "docs" / "api-calls.md"
INTRODUCTION = """\
# Every call of the API

Generated from [openapi.yaml](openapi.yaml) by `make openapi`. [The HTTP API](api.md) describes what all calls share; its function `api` is curl with the token.
"""
LIMITS = {
    "minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
    "minLength": "characters at least", "maxLength": "characters at most", "minItems": "items at least", "maxItems": "items at most",
}  # fmt: skip
SAMPLES: dict[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "object": {},
    "array": [],
}
IN_PATHS = {
    "operation_id": "3j23stccde4iocal", "study_id": "7kq2m5xv3ha4b6tw", "worker_id": "gpu-01", "symbol": "AAPL", "timeframe": "1d",
    "name": "report.json", "token_id": "7", "number": "17", "operation_type": "training", "sha256": "0" * 64,
}  # fmt: skip

Json = Mapping[str, Any]


class Reference:
    def __init__(self, document: Json) -> None:
        self._schemas = document["components"]["schemas"]
        self._paths = document["paths"]

    def render(self) -> str:
        """Return the page in Markdown, one chapter for each first part of a path."""
        lines, chapter = [INTRODUCTION], ""
        for path, methods in sorted(self._paths.items()):
            if (name := path.split("/")[1]) != chapter:
                chapter = name
                lines.append(f"## {name}\n")
            for method, call in methods.items():
                lines += self._call(method.upper(), path, call)
        return "\n".join(lines)

    def _call(self, method: str, path: str, call: Json) -> Iterator[str]:
        yield f"### `{method} {path}`\n"
        if description := call.get("description"):
            yield f"{_one_line(description)}\n"
        rows = [
            (parameter["name"], parameter["in"], _text(parameter["schema"], parameter.get("description", "")))
            for parameter in call.get("parameters", ())
        ]
        if rows:
            yield _table(("parameter", "in", "meaning"), rows)
        for content_type, media in call.get("requestBody", {}).get("content", {}).items():
            if fields := self._fields(media["schema"]):
                yield _table(("field", "required", "meaning"), fields)
            yield _example(method, path, content_type, self.example(media))
        if "requestBody" not in call:
            yield _example(method, path, "", None)
        yield f"{', '.join(self._answers(call['responses']))}.\n"

    def _answers(self, responses: Json) -> Iterator[str]:
        for status, response in responses.items():
            if status == "4XX":
                continue
            schemas = {_name(media["schema"]) for media in response.get("content", {}).values()}
            yield f"{status}{': ' if schemas - {''} else ''}{' or '.join(sorted(schemas - {''}))}"

    def _fields(self, schema: Json) -> list[tuple[str, ...]]:
        whole = self.resolve(schema)
        required = whole.get("required", ())
        return [
            (
                name,
                "yes" if name in required else "",
                _text(self._merge(field), field.get("description", "")),
            )
            for name, field in whole.get("properties", {}).items()
        ]

    def _merge(self, field: Json) -> Json:
        """Return the schema of a field with what it refers to."""
        merged = dict(self.resolve(field))
        for part in merged.pop("allOf", ()):
            merged |= {name: value for name, value in self.resolve(part).items() if name not in merged}
        return merged

    def resolve(self, schema: Json) -> Json:
        """Return the schema to which a reference leads."""
        if "$ref" in schema:
            resolved: Json = self._schemas[schema["$ref"].rpartition("/")[2]]
            return resolved
        return schema

    def example(self, media: Json) -> Any:
        """Return the first example of a body, or one with its required fields."""
        for example in media.get("examples", {}).values():
            return example["value"]
        return self.sample(media["schema"])

    def sample(self, schema: Json) -> Any:
        """Return a value of the schema: its default or first choice, else the simplest one."""
        schema = self.resolve(schema)
        for key in ("default", "const"):
            if key in schema:
                return schema[key]
        if "enum" in schema:
            return schema["enum"][0]
        for key in ("allOf", "anyOf", "oneOf"):
            if key in schema:
                return self.sample(schema[key][0])
        if schema.get("type") == "object":
            required = schema.get("required", ())
            return {name: self.sample(schema["properties"][name]) for name in required}
        if schema.get("type") == "array":
            return [self.sample(schema["items"])] if schema.get("minItems") else []
        if "pattern" in schema and not re.search(schema["pattern"], SAMPLES["string"]):
            return "0" * 64  # a SHA-256
        kind = schema.get("type", "object")
        return SAMPLES[kind[0] if isinstance(kind, list) else kind]


def _example(method: str, path: str, content_type: str, body: Any) -> str:
    """Return the call with curl, in a block."""
    for name, value in IN_PATHS.items():
        path = path.replace(f"{{{name}}}", value)
    parts = ["api", f"http://127.0.0.1:8000{path}"]
    if method not in ("GET", "POST") or (method == "POST" and not content_type):
        parts.insert(1, f"--request {method}")
    if content_type == "multipart/form-data":
        parts += [
            "--form file=@AAPL.csv",
            *(f"--form {name}={value}" for name, value in body.items() if name != "file"),
        ]
    elif content_type == "application/octet-stream":
        parts.append("--upload-file report.json")
    elif content_type:
        parts.append(f"--json '{_shorten(json.dumps(body))}'")
    return f"```\n{' '.join(parts)}\n```\n"


def _shorten(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:280]} ..."


def _text(schema: Json, description: str) -> str:
    options = [option for option in schema.get("anyOf", (schema,)) if option.get("type") != "null"]
    first = options[0] if options else schema
    kind = first.get("type", "")
    parts = [_one_line(description), kind if isinstance(kind, str) else " or ".join(kind)]
    parts += [f"{text} {first[name]}" for name, text in LIMITS.items() if name in first]
    if "enum" in first:
        parts.append(" ".join(f"`{value}`" for value in first["enum"]))
    if schema.get("default") not in (None, [], {}):
        parts.append(f"default {json.dumps(schema['default'])}")
    return "; ".join(part for part in parts if part)


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [names, ("---",) * len(names), *((f"`{row[0]}`", *row[1:]) for row in rows)]
    return (
        "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines) + "\n"
    )


def render() -> str:
    """Return the page in Markdown."""
    return Reference(yaml.load(DOCUMENT.read_text(encoding="utf-8"), yaml.CSafeLoader)).render()


def main() -> int:
    PAGE.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
