"""Every relative link in a Markdown file leads to a file, and to a heading where it names one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for pattern in ("*.md", ".github/**/*.md", "[!.]*/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[1:])
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """Return the page without its code blocks and inline code."""
    return re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, formed as GitHub and MkDocs form them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", path.read_text()))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_index_lists_every_document_and_the_readme_links_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == [
        "README.md"
    ]
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


def test_the_site_has_every_document_in_its_menu() -> None:
    menu = re.findall(r"(?m)^\s+- (?:[^:\n]+: )?([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text())
    assert sorted(menu) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))
