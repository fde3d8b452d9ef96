"""Convert the text of a file to UTF-8 with lines that end in a line feed."""

import codecs
import mmap

from workers.market_data.errors import MarketDataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096
_CHUNK = 4 * 1024**2
_NAMES = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "Windows-1252"}

Text = bytes | mmap.mmap
"""UTF-8; a file that is UTF-8 already stays mapped and is not copied."""


def to_utf8(content: mmap.mmap) -> tuple[Text, str]:
    """Return the text as UTF-8 without a byte order mark, and the name of its encoding.

    Windows-1252 is the fallback: numbers and dates are ASCII in every encoding of this family, only titles differ.
    Raises `MarketDataError` for content that is not text.
    """
    encoding, mark = _encoding_of(content)
    if encoding == "utf-8":
        plain = _is_plain(content) and not mark
        text: Text = content if plain else _clean(content[mark:])
        return text, _NAMES[encoding]
    try:
        return _clean(content[mark:].decode(encoding).encode()), _NAMES.get(encoding, encoding.upper())
    except UnicodeDecodeError as error:
        raise MarketDataError(
            f"the file is neither text in UTF-8, UTF-16 or Windows-1252 nor a supported format "
            f"(byte {error.start + mark:,} is not valid)"
        ) from error


def _encoding_of(content: mmap.mmap) -> tuple[str, int]:
    """Return the encoding and the length of the byte order mark."""
    for mark, encoding in _MARKS:
        if content[:4].startswith(mark):
            return encoding, len(mark)
    sample = content[:_SAMPLE]
    if len(sample) >= 4:
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if max(even, odd) > len(sample) * 0.4 and min(even, odd) < len(sample) * 0.05:
            return ("utf-16-be" if even > odd else "utf-16-le"), 0
    return ("utf-8" if _is_utf8(content) else "cp1252"), 0


def _is_utf8(content: mmap.mmap) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), _CHUNK):
            chunk = content[start : start + _CHUNK]
            if decoder.getstate()[0] or not chunk.isascii():
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_plain(content: mmap.mmap) -> bool:
    return content.find(b"\0") < 0 and (content.find(b"\r") < 0 or content.find(b"\n") >= 0)


def _clean(text: bytes) -> bytes:
    """Remove NUL characters, and replace the carriage returns of old Mac files."""
    text = text.replace(b"\0", b"")
    return text if b"\n" in text else text.replace(b"\r", b"\n")
