"""MkDocs hook: the links of the documentation to other files of the repository work on the site too.

Each file that a page links outside docs/ becomes a page below source/: Markdown as it is, other files as a listing
and folders as a list of their files.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?ms)^```.*?^```$|`[^`\n]*`|\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
LANGUAGES = {
    ".py": "python",
    ".sh": "sh",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".service": "ini",
    ".example": "sh",
}
SOURCES: dict[str, Path] = {}
"""Source URI of each page outside docs/ -> its path in the repository."""

UNLISTED = "---\nsearch:\n  exclude: true\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each linked file outside docs/, and for those that these link in turn."""
    todo = [Path("docs", file.src_uri) for file in files.documentation_pages()]
    while todo:
        for target in _links(todo.pop()):
            uri = _uri(target)
            if uri.startswith("source/") and files.get_file_from_path(uri) is None:
                SOURCES[uri] = target
                files.append(File.generated(config, uri, content=_content(target)))
                todo += [target] if target.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point each relative link to the page that the site has for it, and reduce the marks of code blocks to languages."""
    here = SOURCES.get(page.file.src_uri, Path("docs", page.file.src_uri))

    def rewrite(match: re.Match[str]) -> str:
        target = match["target"] and _resolve(here, match["target"])
        if not target:
            return match.group()
        uri = posixpath.relpath(_uri(target), posixpath.dirname(page.file.src_uri))
        return f"]({uri}{match['anchor'] or ''})"

    if here.suffix != ".md":
        return markdown
    return re.sub(r"(?m)^(```\w+) [\w -]+$", r"\1", LINK.sub(rewrite, markdown))


def _links(page: Path) -> list[Path]:
    matches = LINK.finditer((ROOT / page).read_text(encoding="utf-8"))
    targets = (_resolve(page, match["target"]) for match in matches if match["target"])
    return [target for target in targets if target]


def _resolve(page: Path, target: str) -> Path | None:
    """Return the path in the repository of a link's target; None for an address."""
    if re.match(r"\w+:", target):
        return None
    return Path(posixpath.normpath((page.parent / target).as_posix()))


def _uri(path: Path) -> str:
    """Return the source URI of the page for a path of the repository."""
    if path.parts[0] == "docs":
        return path.relative_to("docs").as_posix() if path.name != "docs" else "README.md"
    if (ROOT / path).is_dir():
        return f"source/{path}/index.md"
    visible = path.with_name(path.name.lstrip("."))
    return f"source/{visible}" if path.suffix == ".md" else f"source/{visible}.md"


def _content(path: Path) -> str:
    if (ROOT / path).is_dir():
        names = sorted(f"{file.name}{'/' if file.is_dir() else ''}" for file in (ROOT / path).iterdir())
        listing = "\n".join(f"* `{name}`" for name in names if not name.startswith("__pycache__"))
        return f"{UNLISTED}# {path}/\n\n{listing}\n"
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"{UNLISTED}# {path}\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n````\n"
