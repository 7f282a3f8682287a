"""Subtitles (SRT, WebVTT): what is said, in paragraphs of a minute, each behind its time."""

from __future__ import annotations

import html
import re

from ingest.loaders.encodings import decode
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem, undecoded
from ingest.types import Extracted

_TIMES = re.compile(r"[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]*-->")
_MARKUP = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_PARAGRAPH_S = 60


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """Paragraphs that begin with `[hh:mm:ss]`. Without a single time, the text as it is.

    Raises UnsupportedFormat where the bytes are no text.
    """
    source = clean(decode(data, name))
    paragraphs: list[list[str]] = []
    ends = -1
    for cue in re.split(r"\n[ \t]*\n", source):
        lines = cue.strip("\n").split("\n")
        # A number or a name may stand before the times.
        found = next(((times, at) for at, line in enumerate(lines[:2]) if (times := _TIMES.match(line))), None)
        if found is None:
            continue
        times, at = found
        second = sum(int(part or 0) * size for part, size in zip(times.groups(), (3600, 60, 1), strict=True))
        said = [stripped for line in lines[at + 1 :] if (stripped := html.unescape(_MARKUP.sub("", line)).strip())]
        if said and (second >= ends or not paragraphs):
            paragraphs.append([f"[{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}]"])
            ends = second + _PARAGRAPH_S
        for line in said:
            if paragraphs[-1][-1] != line:  # subtitles that roll show each line twice
                paragraphs[-1].append(line)
    text = clean("\n\n".join(" ".join(paragraph) for paragraph in paragraphs)) or source
    return Extracted(text=text, title=stem(name), media_type="text/vtt", notes=undecoded(data, source))
