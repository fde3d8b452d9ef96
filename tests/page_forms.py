"""Reads the forms of a page: to where each can be sent, and what a browser without script would send."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

Fields = dict[str, list[str]]
"""The values of each name; none of a box that is not checked."""

TYPED = ("text", "number", "date", "datetime-local", "time", "email", "url", "search", "select", "textarea")


@dataclass
class Form:
    id: str
    addresses: list[str]
    """Where the form, its buttons and its live parts post to, as written in the page; the `action` only if it posts."""
    fields: Fields = field(default_factory=dict)
    buttons: Fields = field(default_factory=dict)
    """A browser sends only the one that is clicked."""
    attributes: dict[str, str] = field(default_factory=dict)
    entries: list[str] = field(default_factory=list)
    """The names of the visible fields to type into or to choose from, without boxes and files."""
    has_text: bool = False
    """Whether one of them takes several lines."""


def read_forms(page: str) -> list[Form]:
    reader = _Reader()
    reader.feed(page)
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select = self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            posts = given.get("method", "get").lower() == "post"
            self._form = Form(
                given.get("id", ""), [given.get("action", "")] if posts else [], attributes=given
            )
            self.forms.append(self._form)
        if self._form is None:
            return
        self._form.addresses += [given[name] for name in ("hx-post", "formaction") if name in given]
        fields, name = self._form.fields, given.get("name", "")
        kind = given.get("type", "text") if tag == "input" else tag
        if name and kind in TYPED and "hidden" not in given:
            self._form.entries.append(name)
            self._form.has_text |= tag == "textarea"
        match tag:
            case "select":
                self._select = name
                fields[name] = []
            case "option" if self._select and (not fields[self._select] or "selected" in given):
                fields[self._select] = [given.get("value", "")]
            case "textarea":
                self._textarea = name
                fields[name] = [""]
            case "button" if name:
                self._form.buttons.setdefault(name, []).append(given.get("value", ""))
            case "input" if name:
                values = fields.setdefault(name, [])
                if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                    values.append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._textarea:
            self._form.fields[self._textarea][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._form is not None:
            (text,) = self._form.fields[self._textarea]
            self._form.fields[self._textarea] = [text.removeprefix("\n").replace("\n", "\r\n")]
            self._textarea = ""
