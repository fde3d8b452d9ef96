"""The multipart form of an upload, for the API document."""

from typing import Any

from operations.kinds.data_import.request import ImportRequest

FILE = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
    "description": "CSV, Parquet, Excel, Feather or JSON",
}
PREVIEW = {"type": "string", "maxLength": 128, "description": "the id of a preview, which replaces the file"}


def upload_schema(*, file_required: bool) -> dict[str, Any]:
    """Return the schema of the form; a field that is not given is absent, because a form has no null."""
    schema = ImportRequest.model_json_schema()
    fields = {name: _without_null(field) for name, field in schema["properties"].items()}
    if file_required:
        properties, required = {"file": FILE, **fields}, ["file", *schema["required"]]
    else:
        properties, required = {"file": FILE, "preview": PREVIEW, **fields}, schema["required"]
    return {"type": "object", "properties": properties, "required": required}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return field
    kept = {name: value for name, value in field.items() if name not in ("anyOf", "default")}
    return {**kept, **options[0]}
