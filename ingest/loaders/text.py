"""Plain text, and what every loader needs to make its text storable: cleaning, the name's stem."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import PurePosixPath

from ingest.errors import EmptyDocument
from ingest.loaders.encodings import byte_order_mark, decode
from ingest.loaders.reading import Reading
from ingest.types import Extracted

LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_MANY_SIGNS = 10_000
_FEWEST = 200  # signs for each letter or digit
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
# Controls other than tab and newline, lone surrogates, noncharacters, and byte order marks inside the text.
_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Plain text as it is, without headings. Raises UnsupportedFormat where the bytes are no text."""
    text = clean(decode(data, name))
    return Extracted(text=text, title=stem(name), media_type="text/plain", notes=undecoded(data, text))


def refuse_hollow(name: str, text: str, signs: int) -> None:
    """Raises EmptyDocument where `text` has next to no letters and digits among very many `signs`."""
    if signs <= _MANY_SIGNS:
        return
    found = sum(1 for _ in islice(LETTER_OR_DIGIT.finditer(text), signs // _FEWEST + 1))
    if found * _FEWEST < signs:
        raise EmptyDocument(
            f"{name}: no text in it but {found} letters or digits among {signs:,} other signs. "
            "Upload a file with text in it."
        )


def undecoded(data: bytes, text: str) -> tuple[str, ...]:
    """A note where `text` has signs in the place of bytes of `data` that did not fit its encoding."""
    strange = text.count("\ufffd") - data.count("\ufffd".encode())
    if strange <= 0 or byte_order_mark(data):
        return ()
    characters = "1 character" if strange == 1 else f"{strange} characters"
    return (f"{characters} could not be read: the file holds bytes that are no UTF-8",)


def clean(text: str) -> str:
    r"""`text` with every line end as "\n", and without NUL, other controls and lone surrogates."""
    return _UNSTORABLE.sub("", _LINE_ENDS.sub("\n", text))


def stem(name: str) -> str:
    """The file's name without folders and extension: the title of a document that states none."""
    return clean(PurePosixPath(name.replace("\\", "/")).stem) or "untitled"
