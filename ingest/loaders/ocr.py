"""Text from pictures of text, by the program tesseract where it is installed."""

from __future__ import annotations

import csv
import functools
import io
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Protocol

from ingest.config import ExtractionSettings
from ingest.errors import NeedsOcr
from ingest.loaders.pdf_hyphens import mended
from ingest.loaders.pdf_layout import laid_out
from ingest.loaders.pdf_lines import joined_words
from ingest.loaders.pdf_words import Style, Word
from ingest.loaders.text import clean

MAX_SIDE = 5000  # pixels: A4 at 400 dots an inch has fewer, and more make tesseract slower, not better

_LANGUAGES = re.compile(r"\w+(?:[+/]\w+)*")
# Tesseract's confidence in per cent, below which it reads text into pictures: of lines, and of marks without a letter.
_MIN_LINE, _MIN_MARK = 45.0, 40.0
_POINTS = 72 / 300  # a pixel
_USUAL = (0.6, 1.5)  # of the usual height of a line
_UPRIGHT = Style(turn=0, size=0.0)
_HYPHENATED = re.compile(r"[^\W\d_]-$")
_NO_SPACE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")  # scripts that write without spaces
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
    """The text of tesseract's TSV, laid out as that of a PDF page is, or in tesseract's order for a turned picture."""
    lines = list(_lines(table))
    if 2 * sum(line.turned for line in lines) > len(lines):
        return clean("".join(_in_order(lines)))
    usual = statistics.median(line.height for line in lines) if lines else 0.0
    words = []
    for line in lines:
        # The height of a line is that of its letters: only what differs much is of another size.
        size = usual if _USUAL[0] * usual <= line.height <= _USUAL[1] * usual else line.height
        style = Style(turn=1 if line.turned else 0, size=max(1.0, size))
        for word in line.words:
            word.style = style
        words += line.words
    parts: list[str] = []
    for paragraph in laid_out(words):
        parts += ["\n" if paragraph.tight else "\n\n", paragraph.text]
    return clean(mended(["".join(parts[1:])])[0])


def _in_order(lines: Sequence[_Line]) -> Iterator[str]:
    before: _Line | None = None
    for line in lines:
        if before is not None and not before.words[-1].hyphen:
            yield "\n" if line.paragraph == before.paragraph else "\n\n"
        yield joined_words(line.words)
        before = line


@dataclass(frozen=True, slots=True)
class _Line:
    paragraph: tuple[str, str]
    words: list[Word]
    height: float
    turned: bool  # its words stand one below the other in the picture


def _lines(table: str) -> Iterator[_Line]:
    """Lines in tesseract's order, without those in which it recognised little."""
    rows = csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE)
    words = (row for row in rows if row.get("level") == "5" and (row.get("text") or "").strip())
    key = itemgetter("block_num", "par_num", "line_num")
    for number, ((block, paragraph, _), group) in enumerate(groupby(words, key=key)):
        members = list(group)
        if sum(float(row["conf"]) for row in members) / len(members) < _MIN_LINE:
            continue
        kept = [row for row in members if float(row["conf"]) >= _MIN_MARK or re.search(r"[^\W_]", row["text"])]
        if kept:
            yield _line((block, paragraph), kept, number)


def _line(paragraph: tuple[str, str], members: list[dict[str, str]], number: int) -> _Line:
    lefts, tops = [int(row["left"]) for row in members], [int(row["top"]) for row in members]
    rights = [left + int(row["width"]) for left, row in zip(lefts, members, strict=True)]
    bottoms = [top + int(row["height"]) for top, row in zip(tops, members, strict=True)]
    low, high = -max(bottoms) * _POINTS, -min(tops) * _POINTS
    words = [
        Word(row["text"].strip(), (left * _POINTS, low, right * _POINTS, high), _UPRIGHT, number)
        for row, left, right in zip(members, lefts, rights, strict=True)
    ]
    for before, word in pairwise(words):
        word.glued = bool(_NO_SPACE.match(before.text[-1]) and _NO_SPACE.match(word.text[0]))
    if _HYPHENATED.search(words[-1].text):
        words[-1].text, words[-1].hyphen = words[-1].text[:-1], True
    return _Line(
        paragraph, words, high - low, turned=len(words) > 1 and max(rights) - min(lefts) < max(bottoms) - min(tops)
    )


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
