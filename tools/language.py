"""Measure how plain the project's English is.

Usage: python -m tools.language [PATH ...] [--files | --lines]

The text measured is docstrings, comments, string literals of three or more words, Markdown prose, templates and
the scripts of the pages. Migrations, generated and vendored files, and code inside backticks are left out.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXCLUDED = ("docs/openapi.yaml", "static/vendor/", "LICENSE")
WORDS_OF_A_SENTENCE = 3


def _any_of(*words: str) -> re.Pattern[str]:
    """Match any of the words, on their own, in any case."""
    return re.compile(
        r"\b(?:" + "|".join(word.replace(" ", r"\s+") for word in words) + r")\b", re.IGNORECASE
    )


PHRASES = {
    "says": _any_of("says", "said", "tells", "told"),
    "is no": re.compile(r"\b(?:is|are)\s+no\s+(?!longer\b|more\b)[a-z]+", re.IGNORECASE),
    "anew": _any_of("anew"),
    "for ever": _any_of("for ever", "forever"),
    "by itself": _any_of("by itself"),
    "mend": _any_of("mend", "mends", "mended", "mending"),
    "alike": _any_of("alike"),
    "stands": _any_of("stands"),
}
CLAUSE = "What/Who"
PARTICIPLE = "participle"
COLUMNS = ("says", CLAUSE, *(name for name in PHRASES if name != "says"))

_OPENING = re.compile(
    r"(?:\A[\s\"'(*]*([Ww]hat|[Ww]ho)|(?:\n[ \t]*\n|\n[ \t]*[-*]\s|[.!?][\"')*]*\s)[\s\"'(*]*(What|Who))\s+\w"
)
_SENTENCE_END = re.compile(r"[.!?](?=[\s\"')*]|\Z)|\n[ \t]*\n")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")

# Participles whose base form differs. Those that equal it (read, set, put, cut, split, run) or name a thing (bound) pass.
_IRREGULAR = re.compile(
    r"(?:begun|born|bought|broken|brought|built|caught|chosen|dealt|done|drawn|driven|fallen|fed|felt|forbidden|forgotten"
    r"|found|frozen|given|gone|got|grown|heard|held|hidden|hung|kept|known|laid|led|left|lent|lost|made|meant|met|paid"
    r"|proven|risen|said|seen|sent|shown|sold|sought|spent|spoken|spun|stolen|stood|struck|stuck|sunk|swept|taken|taught"
    r"|thought|thrown|told|torn|understood|withdrawn|woken|won|worn|written)"
)
_REGULAR = re.compile(r"(?!(?:bed|embed|red|shed|shred|sled)\b)[a-z]*[^e]ed|agreed|freed")
# Names that a base class of the standard library, Django or REST framework prescribes.
_PRESCRIBED = frozenset({"closed"})
_NOT_PLAIN_FUNCTIONS = frozenset({"property", "cached_property", "fixture", "setter", "override", "overload"})


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text: its first line in the file, and the lines of the source that hold it.

    A label is the cell of a table; it is not a sentence unless it begins with a capital.
    """

    line: int
    text: str
    source: tuple[str, ...] = ()
    is_label: bool = False

    def line_of(self, start: int, end: int) -> int:
        """Return the line of the file on which `text[start:end]` is written."""
        if not self.source:
            return self.line + self.text.count("\n", 0, start)
        first_line = self.text[start:end].strip().split("\n")[0]
        earlier = self.text.count(first_line, 0, start)
        for number, line in enumerate(self.source):
            earlier -= line.count(first_line)
            if earlier < 0:
                return self.line + number
        return self.line


@dataclass(frozen=True, slots=True)
class Hit:
    """One place that counts for a column."""

    path: str
    line: int
    column: str
    excerpt: str


@dataclass(slots=True)
class Figures:
    """The counts of a set of files."""

    words: int = 0
    functions: int = 0
    hits: list[Hit] = field(default_factory=list)

    def add(self, other: "Figures") -> None:
        self.words += other.words
        self.functions += other.functions
        self.hits += other.hits

    def count(self, column: str) -> int:
        return sum(hit.column == column for hit in self.hits)

    def rate(self, column: str) -> float:
        """Return the hits per 10,000 words; for participles, the percentage of functions."""
        if column == PARTICIPLE:
            return 100 * self.count(column) / max(self.functions, 1)
        return 10_000 * self.count(column) / max(self.words, 1)


def measure(paths: Iterable[str] = (), root: Path = ROOT) -> dict[str, Figures]:
    """Return the figures of each file of the repository below one of the paths, or of all."""
    prefixes = tuple(path.removeprefix("./").rstrip("/") for path in paths)
    return {
        name: measure_text(name, (root / name).read_text(encoding="utf-8"))
        for name in _tracked_files(root)
        if name.endswith(tuple(_READERS)) or Path(name).name in _READERS
        if not prefixes or name in prefixes or name.startswith(tuple(f"{prefix}/" for prefix in prefixes))
    }


def measure_text(name: str, text: str) -> Figures:
    """Return the figures of one file, read by the rules of its suffix."""
    figures = Figures()
    reader = _READERS.get(Path(name).name) or _READERS[Path(name).suffix]
    for passage in reader(text):
        figures.words += len(_WORD.findall(passage.text))
        for column, start, end in _phrases(passage):
            excerpt = " ".join(passage.text[max(0, start - 40) : end + 40].split())
            figures.hits.append(Hit(name, passage.line_of(start, end), column, excerpt))
    if name.endswith(".py"):
        for line, function in _functions(ast.parse(text)):
            figures.functions += 1
            if _is_participle(function):
                figures.hits.append(Hit(name, line, PARTICIPLE, function))
    return figures


def _tracked_files(root: Path) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return sorted(
        name
        for name in set(listing.splitlines())
        if not name.startswith(EXCLUDED) and "/migrations/" not in name and (root / name).is_file()
    )


def _phrases(passage: Passage) -> Iterator[tuple[str, int, int]]:
    """Yield column, start and end of each hit in the passage."""
    text = passage.text
    for column, pattern in PHRASES.items():
        for match in pattern.finditer(text):
            yield column, match.start(), match.end()
    for match in _OPENING.finditer(text):
        end = _SENTENCE_END.search(text, match.end())
        start = match.start(1) if match[1] else match.start(2)
        if (end is None or end.group() != "?") and not (passage.is_label and text[start].islower()):
            yield CLAUSE, start, match.end()


def _plain(text: str) -> str:
    """Replace code in backticks by one word."""
    return re.sub(r"`+[^`\n]+`+", "X", text)


# Python


def _python(text: str) -> Iterator[Passage]:
    yield from _python_comments(text)
    yield from _python_strings(text)


def _python_comments(text: str) -> Iterator[Passage]:
    """Yield comments, those on consecutive lines of their own as one passage."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or token.string.startswith(("#!", "# type:", "# noqa")):
            continue
        line, content = token.start[0], _plain(token.string.lstrip("#: ").split("# noqa")[0])
        follows = block and line == last + 1 and token.line.lstrip().startswith("#")
        if not follows and block:
            yield Passage(first, "\n".join(block))
            block = []
        first = first if block else line
        block.append(content)
        last = line
    if block:
        yield Passage(first, "\n".join(block))


def _python_strings(text: str) -> Iterator[Passage]:
    """Yield docstrings, and other literals of three or more words; a value in an f-string counts as one word."""
    tree, source = ast.parse(text), text.splitlines()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr():
                content = "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            case ast.Constant(value=str(content)) if id(node) not in parts:
                pass
            case _:
                continue
        if id(node) in docstrings or len(_WORD.findall(content)) >= WORDS_OF_A_SENTENCE:
            end = node.end_lineno or node.lineno
            yield Passage(node.lineno, _plain(content), tuple(source[node.lineno - 1 : end]))


def _functions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each function and method whose name the author was free to choose."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = {_last_name(decorator) for decorator in node.decorator_list}
        if not decorators & _NOT_PLAIN_FUNCTIONS and node.name not in _PRESCRIBED:
            yield node.lineno, node.name


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Call():
            return _last_name(node.func)
        case ast.Attribute():
            return node.attr
        case ast.Name():
            return node.id
    return ""


def _is_participle(name: str) -> bool:
    word = name.strip("_")
    return bool(_IRREGULAR.fullmatch(word) or _REGULAR.fullmatch(word))


# Other files


def _markdown(text: str) -> Iterator[Passage]:
    """Yield paragraphs, headings, list items and the cells of tables, without code blocks and the targets of links."""
    block: list[str] = []
    first = 0
    fenced = False
    for number, raw in enumerate(text.splitlines(), start=1):
        is_fence = raw.lstrip().startswith(("```", "~~~"))
        line = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", _plain(raw)).replace("**", "").strip()
        starts_block = re.match(r"(?:[-*+]|\d+\.|#+|>)\s", line) is not None
        if block and (is_fence or fenced or not line or starts_block or line.startswith("|")):
            yield Passage(first, "\n".join(block))
            block = []
        fenced ^= is_fence
        if is_fence or fenced or not line:
            continue
        if line.startswith("|"):
            yield from (
                Passage(number, cell.strip(), is_label=True) for cell in line.split("|") if cell.strip(" :-")
            )
            continue
        first = first if block else number
        block.append(re.sub(r"^(?:[-*+]|\d+\.|#+|>)\s+", "", line))
    if block:
        yield Passage(first, "\n".join(block))


_TEMPLATE = re.compile(
    r"(?P<comment>\{#.*?#\}|<!--.*?-->)|(?P<code>\{%.*?%\}|\{\{.*?\}\})|(?P<skip><(?:script|style)\b.*?</(?:script|style)>)"
    r"|(?P<tag><[^<>]*>)",
    re.DOTALL,
)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_INLINE_TAGS = re.compile(r"</?(?:a|abbr|b|code|em|i|kbd|small|span|strong|time)\b")


def _template(text: str) -> Iterator[Passage]:
    """Yield comments, the text between tags, and attributes and arguments of three or more words."""
    prose: list[str] = []
    prose_start = position = 0
    for match in [*_TEMPLATE.finditer(text), None]:
        between = text[position : match.start() if match else len(text)]
        if not prose:
            prose_start = position
        prose.append(between)
        if match is None:
            break
        position = match.end()
        newlines = "\n" * match.group().count("\n")
        if match["comment"]:
            yield Passage(text.count("\n", 0, match.start()) + 1, _plain(match.group().strip("{#}<!- ")))
            prose.append(newlines)
        elif match.group().startswith("{{"):
            prose.append("X" + newlines)
        elif match["tag"] and _INLINE_TAGS.match(match.group()):
            prose.append(newlines)
        else:
            yield _from_offset(text, prose_start, "".join(prose))
            prose = []
        if not match["comment"]:
            for quoted in _QUOTED.finditer(match.group()):
                content = quoted[1] if quoted[1] is not None else quoted[2]
                content = re.sub(r"\{[{%].*?[}%]\}", "X", content)
                if len(_WORD.findall(content)) >= WORDS_OF_A_SENTENCE and not re.search(
                    r"[=/]|--|:\w", content
                ):
                    yield _from_offset(text, match.start() + quoted.start() + 1, content)
    yield _from_offset(text, prose_start, "".join(prose))


def _from_offset(text: str, offset: int, content: str) -> Passage:
    stripped = content.lstrip()
    lines = text.count("\n", 0, offset) + content[: len(content) - len(stripped)].count("\n")
    return Passage(lines + 1, stripped.rstrip())


_SCRIPT = re.compile(
    r"//(?P<line>[^\n]*)|/\*(?P<block>.*?)\*/|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)",
    re.DOTALL,
)


def _script(text: str) -> Iterator[Passage]:
    """Yield comments, and string literals of three or more words, of JavaScript and style sheets."""
    block, first, last_end = "", 0, 0
    for match in _SCRIPT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["line"] is not None:
            if block and not text[last_end : match.start()].strip():
                block += "\n" + match["line"].strip()
            else:
                if block:
                    yield Passage(first, _plain(block))
                block, first = match["line"].strip(), line
            last_end = match.end()
            continue
        content = match["block"] if match["block"] is not None else match["string"][1:-1]
        content = re.sub(r"\$\{[^}]*\}", "X", content)
        if match["block"] is not None or len(_WORD.findall(content)) >= WORDS_OF_A_SENTENCE:
            yield Passage(line, _plain(content) if match["block"] is not None else content)
    if block:
        yield Passage(first, _plain(block))


def _hash_comments(text: str) -> Iterator[Passage]:
    """Yield comments that begin with a number sign: shell, YAML, TOML, unit and environment files."""
    block: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        comment = re.match(r"\s*#(?!!)\s?(.*)", line)
        trailing = re.search(r"\s#\s(.*)", line)
        if comment:
            first = first if block else number
            block.append(_plain(comment[1]))
            continue
        if block:
            yield Passage(first, "\n".join(block))
            block = []
        if trailing:
            yield Passage(number, _plain(trailing[1]))


def _make(text: str) -> Iterator[Passage]:
    """Yield the comments and the printed lines of a Makefile."""
    yield from _hash_comments(text)
    for number, line in enumerate(text.splitlines(), start=1):
        for printed in re.finditer(r"echo \"([^\"]*)\"", line):
            yield Passage(number, printed[1])


_READERS: dict[str, Callable[[str], Iterator[Passage]]] = {
    ".py": _python,
    ".md": _markdown,
    ".html": _template,
    ".js": _script,
    ".css": _script,
    ".sh": _hash_comments,
    ".yml": _hash_comments,
    ".yaml": _hash_comments,
    ".toml": _hash_comments,
    ".in": _hash_comments,
    ".service": _hash_comments,
    ".example": _hash_comments,
    "Dockerfile": _hash_comments,
    "Makefile": _make,
}


# Output


def _table(groups: dict[str, Figures]) -> Iterator[str]:
    width = max(map(len, groups), default=0)
    yield "per 10,000 words; participles: percentage of functions. Counts in parentheses."
    yield f"{'':{width}} {'words':>7} " + " ".join(f"{name:>11}" for name in (*COLUMNS, PARTICIPLE))
    for name, figures in groups.items():
        cells = (f"{figures.rate(column):.1f} ({figures.count(column)})" for column in (*COLUMNS, PARTICIPLE))
        yield f"{name:{width}} {figures.words:7,} " + " ".join(f"{cell:>11}" for cell in cells)


def total(files: dict[str, Figures]) -> Figures:
    """Return the sum over all files."""
    result = Figures()
    for figures in files.values():
        result.add(figures)
    return result


def _by_folder(files: dict[str, Figures]) -> dict[str, Figures]:
    folders: dict[str, Figures] = {}
    for name, figures in files.items():
        folder = name.split("/")[0] if "/" in name else "."
        folders.setdefault(folder, Figures()).add(figures)
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how plain the project's English is.")
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files or folders; all of the repository if empty"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--files", action="store_true", help="one row for each file that has hits")
    output.add_argument("--lines", action="store_true", help="list each hit as FILE:LINE")
    options = parser.parse_args()
    files = measure(options.paths)
    if options.lines:
        hits = sorted(total(files).hits, key=lambda hit: (hit.path, hit.line))
        lines: Iterable[str] = (f"{hit.path}:{hit.line}: [{hit.column}] {hit.excerpt}" for hit in hits)
    else:
        groups = {n: f for n, f in files.items() if f.hits} if options.files else _by_folder(files)
        lines = _table({**groups, "total": total(files)})
    sys.stdout.writelines(f"{line}\n" for line in lines)
    summary = Counter(hit.column for hit in total(files).hits)
    if options.lines:
        sys.stdout.write(
            ", ".join(f"{column}: {summary[column]}" for column in (*COLUMNS, PARTICIPLE)) + "\n"
        )


if __name__ == "__main__":
    main()
