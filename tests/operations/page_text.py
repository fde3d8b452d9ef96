"""Reads the text of pages: tiles, facts and tables. Checks whether a text shows a rounded number."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"input", "meta", "link", "br", "img"}


@dataclass
class Element:
    tag: str
    classes: frozenset[str] = frozenset()
    children: "list[Element | str]" = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join(" ".join(parts).split(" ")).strip()

    def all(self, tag: str = "", of: str = "") -> "list[Element]":
        """Return descendants with this tag and class, in document order."""
        elements: list[Element] = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in ("", child.tag) and (not of or of in child.classes):
                    elements.append(child)
                elements += child.all(tag, of)
        return elements


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page")]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, frozenset((dict(attributes).get("class") or "").split()))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag))

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self.open[1:]):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if text := re.sub(r"[ \n]+", " ", data).strip(" "):
            self.open[-1].children.append(text)


def read(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    return builder.open[0]


def tiles(page: Element) -> dict[str, tuple[str, str]]:
    """Return the value and the notes of each tile by name."""
    return {
        tile.all(of="tile-name")[0].text: (
            tile.all(of="tile-value")[0].text,
            " ".join(note.text for note in tile.all(of="tile-note")),
        )
        for tile in page.all(of="tile")
    }


def facts(page: Element) -> dict[str, str]:
    names, values = page.all("dt"), page.all("dd")
    return {name.text: value.text for name, value in zip(names, values, strict=True)}


def table(page: Element, heading: str) -> list[list[str]]:
    """Return the rows of the table under this heading."""
    (section,) = [
        part
        for part in page.all("section")
        if any(title.text.startswith(heading) for title in part.all("h2"))
    ]
    return rows(section)


def rows(part: Element) -> list[list[str]]:
    body = part.all("tbody")[0]
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in body.all("tr")]


def shows(text: str, value: float) -> bool:
    """Return whether the first number in `text` is `value`, rounded to its digits; `%` means hundredths."""
    match = re.search(r"([+−-]?)([\d\u202f]+)(?:\.(\d+))?( %)?", text)
    if match is None:
        return False
    sign, whole, digits, is_percent = match.groups()
    number = float(f"{'-' if sign in '−-' and sign else ''}{whole.replace(chr(0x202F), '')}.{digits or 0}")
    exact = value * 100 if is_percent else value
    return abs(number - exact) <= 0.5 * 10.0 ** -len(digits or "") + 1e-9
