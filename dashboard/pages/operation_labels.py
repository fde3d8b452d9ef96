"""The labels of an operation on its page."""

from typing import Any

from django.http import QueryDict

from operations.models import Operation
from operations.presentation.markdown import render_markdown
from operations.states import Status


def context(operation: Operation) -> dict[str, Any]:
    """Return what the card of labels shows."""
    return {
        "tags": sorted(operation.tags.values_list("pk", flat=True)),
        "note": render_markdown(operation.note),
        "label_acts": _acts(operation),
    }


def _acts(operation: Operation) -> list[tuple[str, str]]:
    """Return the names and texts of the buttons for an operation that has ended."""
    acts = [("unarchive", "Unarchive") if operation.archived_at else ("archive", "Archive")]
    if operation.status == Status.FAILED and operation.dismissed_at is None:
        acts.append(("dismiss", "Dismiss"))
    return [*acts, ("delete", "Delete")]


def read_form(form: QueryDict) -> dict[str, object]:
    """Return the body of the API call."""
    tags = [tag for part in form.get("tags", "").split(",") if (tag := part.strip())]
    return {"title": form.get("title", ""), "note": form.get("note", ""), "tags": tags}
