"""Text from pictures of text, by the program tesseract where it is installed."""

from __future__ import annotations

import csv
import functools
import io
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Protocol

from ingest.config import ExtractionSettings
from ingest.errors import NeedsOcr
from ingest.loaders.text import clean

MAX_SIDE = 5000  # pixels: A4 at 400 dots an inch has fewer, and more make tesseract slower, not better

_LANGUAGES = re.compile(r"\w+(?:[+/]\w+)*")
_MIN_WORD, _MIN_LINE = 20.0, 45.0  # tesseract's confidence in per cent: below it, it reads text into pictures
_SHARE_OF_TIME = 0.8  # of `wall_s`, so that what was read by then is kept
_ASKING_S = 10


class Ocr(Protocol):
    """Reads text from a picture. Tests have one that knows its answers."""

    def why_not(self) -> str | None:
        """Why nothing can be read, with what to do; None where it can."""
        ...

    def read(self, picture: bytes, timeout_s: float) -> str:
        """The text of a grey picture (binary PGM), paragraphs apart by blank lines; "" where there is none.

        Raises OcrFailed.
        """
        ...


class OcrFailed(Exception):
    """A picture could not be read. The message says why, for a note."""


@dataclass(frozen=True, slots=True)
class Tesseract:
    """The program `tesseract`, version 4 or later, a process for each picture.

    Scans that are turned by quarters are read too where its data for orientation (`osd`) is installed.
    """

    languages: str = "eng"
    program: str = "tesseract"

    def why_not(self) -> str | None:
        if not _LANGUAGES.fullmatch(self.languages):
            return f"`ingest.extraction.ocr_languages` is {self.languages!r}: name languages as in `eng+deu`"
        if shutil.which(self.program) is None:
            return "tesseract is not installed: install it (on Debian: apt install tesseract-ocr)"
        known = _installed(self.program)
        missing = [language for language in self.languages.split("+") if language not in known]
        if missing:
            return (
                f"tesseract has no data for {', '.join(missing)}: install it "
                f"(on Debian: apt install tesseract-ocr-{missing[0]}), or change `ingest.extraction.ocr_languages`"
            )
        return None

    def read(self, picture: bytes, timeout_s: float) -> str:
        layout = "1" if "osd" in _installed(self.program) else "3"  # with and without finding the orientation
        command = [self.program, "stdin", "stdout", "-l", self.languages, "--psm", layout, "--dpi", "300", "tsv"]
        try:
            done = subprocess.run(
                command,
                input=picture,
                capture_output=True,
                timeout=timeout_s,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OcrFailed("reading the picture took too long") from error
        except OSError as error:
            raise OcrFailed(f"tesseract could not be started ({error.strerror})") from error
        if done.returncode != 0:
            raise OcrFailed("tesseract could not read the picture")
        return text_of(done.stdout.decode("utf-8", "replace"))


def ocr_for(limits: ExtractionSettings) -> Ocr:
    return Tesseract(limits.ocr_languages)


class Recogniser:
    """OCR for one file: says once why there is none, and keeps to the time that reading a file may take."""

    def __init__(self, name: str, limits: ExtractionSettings, ocr: Ocr | None = None) -> None:
        self._name = name
        self._ocr = ocr or ocr_for(limits)
        self._until = time.monotonic() + _SHARE_OF_TIME * limits.wall_s
        self._allowed = limits.ocr

    @functools.cached_property
    def why_not(self) -> str | None:
        if not self._allowed:
            return "reading pictures of text is switched off: set `ingest.extraction.ocr` to true"
        return self._ocr.why_not()

    def read(self, picture: bytes) -> str:
        """The text of a picture. Raises OcrFailed, also where no time is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise OcrFailed("no time was left for it; raise `ingest.extraction.wall_s`")
        return self._ocr.read(picture, left)

    def refusal(self) -> NeedsOcr:
        """The error for a file with nothing but pictures, where `why_not` says why they can't be read."""
        return NeedsOcr(
            f"{self._name}: only pictures of text in it, and {self.why_not}. "
            "Then upload it again, or run it through an OCR program and upload the result."
        )


def pgm(pixels: bytes, width: int, height: int) -> bytes:
    """A grey picture as a binary PGM file; `pixels` are its rows, one byte each."""
    return b"P5 %d %d 255\n" % (width, height) + pixels


def text_of(table: str) -> str:
    """The text of tesseract's TSV: lines of a paragraph are joined where the line end was the page's."""
    parts: list[str] = []
    for _, block in groupby(_lines(table), key=lambda line: line.paragraph):
        lines = list(block)
        right = max(line.right for line in lines)
        text = lines[0].text
        for above, below in pairwise(lines):
            full = above.level and right - above.right < below.first_width
            if full and re.search(r"[^\W\d_]-$", text) and below.text[:1].islower():
                text = text[:-1] + below.text
            else:
                text += (" " if full else "\n") + below.text
        parts.append(text)
    return clean("\n\n".join(parts)).strip()


@dataclass(frozen=True, slots=True)
class _Line:
    paragraph: tuple[str, str]
    text: str
    right: int
    first_width: int
    level: bool  # its words stand side by side in the picture, which then was not turned


def _lines(table: str) -> Iterator[_Line]:
    rows = csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = (row for row in rows if row.get("level") == "5" and (row.get("text") or "").strip())
    for (block, paragraph, _), group in groupby(words, key=itemgetter("block_num", "par_num", "line_num")):
        members = [(float(row["conf"]), row) for row in group]
        kept = [row for sure, row in members if sure >= _MIN_WORD]
        if not kept or sum(sure for sure, _ in members) / len(members) < _MIN_LINE:
            continue
        right = max(int(row["left"]) + int(row["width"]) for row in kept)
        across = right - min(int(row["left"]) for row in kept)
        down = max(int(row["top"]) + int(row["height"]) for row in kept) - min(int(row["top"]) for row in kept)
        text = " ".join(row["text"] for row in kept)
        yield _Line((block, paragraph), text, right, int(kept[0]["width"]), across > down)


def _environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH") if key in os.environ}
    return kept | {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"}


@functools.cache
def _installed(program: str) -> frozenset[str]:
    """The languages that tesseract has data for."""
    try:
        told = subprocess.run(
            [program, "--list-langs"], capture_output=True, timeout=_ASKING_S, env=_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(told.stdout.decode("utf-8", "replace").split("\n")[1:])
