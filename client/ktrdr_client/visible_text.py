"""Foreign text on a terminal: control characters are shown, never sent.

An escape sequence can repaint a terminal or forge a line; a bidirectional control reverses what is read. The characters are
those of `worker_agent.visible_text`, which the site's own commands use: this distribution cannot import it, and a test
compares the two.
"""

import re

CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction of the text, and its deprecated kin
    "\u2028\u2029\ufeff\ufff9-\ufffb"  # separators of lines and paragraphs, byte order mark, annotations
    "\ud800-\udfff\U000e0000-\U000e0fff]"  # lone surrogates, invisible tags
)


def visible(text: str) -> str:
    """Replace each control character except tab and line feed by its escape."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Return the text as `visible` does, with line breaks escaped too."""
    return visible(text).replace("\n", "\\n")
