"""Input files of the types that workers announce: bars, artifacts of other operations, uploads, under the job's names.

They come from `inputs` of the request, or from parameters that the worker's schema marks (`worker_agent.inputs`).
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from access.prepared import fetch
from access.problems import Invalid, invalid, pointer
from operations import market_data, uploads
from operations.models import Artifact, AwaitedInput, Operation
from operations.requests import Source
from operations.states import Status
from worker_agent.schema_keywords import INPUT_MARK
from worker_agent.validation_messages import quote

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
HAS_INPUTS = """
    EXISTS (SELECT FROM operations_artifact AS input WHERE input.operation_id = {operation_id} AND input.role = 'input')
        OR EXISTS (SELECT FROM operations_awaitedinput AS awaited WHERE awaited.operation_id = {operation_id})
"""
"""Whether `take` finds anything for an operation, as a part of other queries."""
_INPUTS = """
    SELECT input.operation_id, input.name, input.file_id, file.size, NULL::text AS source, NULL::text AS artifact
    FROM operations_artifact AS input JOIN operations_storedfile AS file ON file.sha256 = input.file_id
    WHERE input.operation_id = ANY(%(operation_ids)s::text[]) AND input.role = 'input'
    UNION ALL
    SELECT awaited.operation_id, awaited.name, output.file_id, file.size, awaited.source_id, awaited.artifact
    FROM operations_awaitedinput AS awaited
    LEFT JOIN operations_artifact AS output
      ON output.operation_id = awaited.source_id AND output.role = 'output' AND output.name = awaited.artifact
    LEFT JOIN operations_storedfile AS file ON file.sha256 = output.file_id
    WHERE awaited.operation_id = ANY(%(operation_ids)s::text[])
    ORDER BY name
"""


class InputMissing(Exception):
    """An awaited operation completed without the artifact; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs that exist: files by input name, and artifacts that are still awaited."""

    files: dict[str, str] = field(default_factory=dict)
    """name -> SHA-256"""
    awaited: dict[str, tuple[str, str]] = field(default_factory=dict)
    """name -> (operation, artifact)"""


def find(sources: Mapping[str, Source], after: Collection[str], places: Mapping[str, str]) -> Inputs:
    """Find the file of each source. An artifact of an operation in `after` may be produced later.

    `places` has the JSON pointer of each name for errors. Raises Invalid.
    """
    inputs, errors = Inputs(), []
    for name, source in sources.items():
        if source.symbol:
            problem = _find_bars(name, source, inputs)
        elif source.upload:
            problem = _find_upload(name, source.upload, inputs)
        else:
            problem = _find(name, source, after, inputs)
        if problem:
            errors.append({"pointer": places[name], "detail": problem})
    if errors:
        raise Invalid(errors[0]["detail"], errors=errors)
    return inputs


def _find_bars(name: str, source: Source, inputs: Inputs) -> str:
    assert source.symbol is not None, "the caller has looked"
    assert source.timeframe is not None, "the model requires both"
    rows = market_data.find([source.symbol]).get(source.symbol, {})
    if source.timeframe not in rows:
        return market_data.explain_missing(source.symbol, source.timeframe, rows)
    inputs.files[name] = rows[source.timeframe].file_id
    return ""


def _find_upload(name: str, upload_id: str, inputs: Inputs) -> str:
    upload = uploads.find(upload_id)
    if upload is None:
        return f"Unknown upload {upload_id}; it may have expired or been deleted."
    inputs.files[name] = upload.file_id
    return ""


def _find(name: str, source: Source, after: Collection[str], inputs: Inputs) -> str:
    """Add the artifact's file, or the wait for it; return the problem if there is neither."""
    assert source.operation is not None, "the model requires bars or an operation"
    assert source.artifact is not None, "likewise"
    operation = Operation.objects.filter(pk=source.operation).only("status").first()
    if operation is None:
        return f"Unknown operation {source.operation}."
    if operation.status == Status.COMPLETED:
        outputs = Artifact.objects.filter(operation=operation, role=Artifact.Role.OUTPUT)
        file = outputs.filter(name=source.artifact).values_list("file_id", flat=True).first()
        if file is None:
            return f"The operation {operation.pk} has no artifact {source.artifact}."
        inputs.files[name] = file
    elif operation.is_final:
        return f"The operation {operation.pk} is {operation.status}: it has no artifact to use."
    elif operation.pk in after:
        inputs.awaited[name] = (operation.pk, source.artifact)
    else:
        return (
            f"The operation {operation.pk} is {operation.status}; add it to `after` to wait for its artifact."
        )
    return ""


def marked(schemas: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, Source]:
    """Return the sources that the parameters name, by parameter, as the first schema with marks of the type's workers does.

    Call it with parameters that the schema accepts. Raises Invalid.
    """
    sources: dict[str, Source] = {}
    for text in [schema for schema in schemas if INPUT_MARK in schema][:1]:
        for name, schema in json.loads(text).get("properties", {}).items():
            value = parameters.get(name)
            if isinstance(value, str) and (mark := next(_marks(schema), None)):
                sources[name] = _source(name, mark, value)
    return sources


def _marks(schema: Any) -> Iterator[Mapping[str, str]]:
    """Yield the marks of a parameter; an optional one has its mark inside `anyOf`."""
    if not isinstance(schema, dict):
        return
    if isinstance(mark := schema.get(INPUT_MARK), dict):
        yield mark
    for inner in schema.get("anyOf", ()):
        yield from _marks(inner)


def _source(name: str, mark: Mapping[str, str], value: str) -> Source:
    if not FILE_NAME.fullmatch(name):
        raise invalid(pointer(("parameters", name)), "The name of this parameter cannot be that of a file.")
    if "upload" in mark:
        fields, kind = {"upload": value}, "the id of an upload"
        _require_ending(name, mark["upload"], value)
    elif "timeframe" in mark:
        fields, kind = {"symbol": value, **mark}, "a symbol with market data"
    else:
        fields, kind = {"operation": value, **mark}, "the id of an operation"
    try:
        return Source.model_validate(fields)
    except ValidationError:
        raise invalid(pointer(("parameters", name)), f"{quote(value)} is not {kind}.") from None


def _require_ending(name: str, endings: str, upload_id: str) -> None:
    """Raise Invalid if the mark names endings of file names and the upload has none of them."""
    suffixes = tuple(str(endings).lower().split())  # the mark is a worker's
    upload = uploads.find(upload_id)
    if suffixes and upload is not None and not upload.name.lower().endswith(suffixes):
        detail = f"The name of the file must end with {' or '.join(suffixes)}, not like {quote(upload.name)}."
        raise invalid(pointer(("parameters", name)), detail)


def take(operation_ids: Sequence[str]) -> dict[str, list[tuple[str, str, int]]]:
    """Return name, SHA-256 and size of each input by operation; those that an operation waited for become its own.

    Called when the operations are claimed, so everything in their `after` has completed. Raises InputMissing.
    """
    inputs: dict[str, list[tuple[str, str, int]]] = {operation_id: [] for operation_id in operation_ids}
    if not inputs:
        return inputs
    awaited: list[Artifact] = []
    for operation_id, name, file, size, source, artifact in fetch(
        _INPUTS, {"operation_ids": list(operation_ids)}
    ):
        if source is not None and file is None:
            raise InputMissing(f"The operation {source} completed without the artifact {artifact}.")
        if source is not None:
            awaited.append(
                Artifact(operation_id=operation_id, role=Artifact.Role.INPUT, name=name, file_id=file)
            )
        inputs[operation_id].append((name, file, size))
    if awaited:
        Artifact.objects.bulk_create(awaited)
        AwaitedInput.objects.filter(operation__in={row.operation_id for row in awaited}).delete()
    return inputs
