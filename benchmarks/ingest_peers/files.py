"""The folder that is ingested: copies of documents or small files made at random, and paragraphs that are edited."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 7
# A file written just now could be written again within the resolution of its times; whoever goes by them waits so long.
SETTLED_S = 2.5
_IN_ONE_FOLDER = 100
_WORDS = 40  # of a small file
_SYLLABLES = [first + last for first in ("b", "br", "d", "fl", "g", "k", "l", "m", "p", "st", "t") for last in "aeiou"]
_CODE = re.compile(r"```.*?```", re.DOTALL)
_PROBE_WORDS = 8  # fewer tell no file from another
# Far from any manual of software, so that its passage is near to no other one.
_PARAGRAPH = (
    "The lighthouse keeper {name} counted {number} puffins on the cliffs before the storm of the winter came. "
    "{name} wrote their number into the log with a goose quill, fed the goats, and boiled a kettle of fish soup for "
    "the sailors. At dawn the fog lifted from the fjord, and the ferry {name} carried salted cod to the market."
)


@dataclass(frozen=True)
class Edit:
    """A file's new text; `query` finds it by `word`, and `gone` stood in the text before and nowhere else."""

    file: Path
    text: str
    query: str
    word: str
    gone: str | None


class Documents:
    """Copies of Markdown files. An edit puts another paragraph into the middle of one; each file has two in a row."""

    def __init__(self, source: Path, folder: Path, count: int | None) -> None:
        """`count` takes files evenly spread over the names. Raises FileNotFoundError where there are none."""
        found = sorted(path for path in source.rglob("*.md") if path.is_file())
        if not found:
            raise FileNotFoundError(f"{source} has no Markdown files: name a folder that has by --documents")
        if count is not None and count < len(found):
            found = [found[position * len(found) // count] for position in range(count)]
        self.folder, self.files = folder, [folder / path.relative_to(source) for path in found]
        for path, copy in zip(found, self.files, strict=True):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        time.sleep(SETTLED_S)

    def probes(self, count: int) -> list[tuple[Path, str]]:
        """Some files, each with the words that it is looked for by: its longest line of prose."""
        probes = []
        for file in _spread(self.files, count):
            prose = _CODE.sub("", file.read_text("utf-8")).splitlines()
            line = max(prose, key=len, default="")
            if len(line.split()) >= _PROBE_WORDS:
                probes.append((file, line))
        return probes

    def edits(self) -> Iterator[Edit]:
        draw = random.Random(SEED)
        files = [file for file in self.files if file.read_text("utf-8").count("\n\n") >= 2]
        for file in draw.sample(files, len(files)):
            paragraphs = file.read_text("utf-8").split("\n\n")
            gone = None
            for _ in range(2):
                name = made_up_word(draw) + made_up_word(draw)
                paragraph = _PARAGRAPH.format(name=name, number=draw.randint(100, 999))
                paragraphs[len(paragraphs) // 2] = paragraph
                yield Edit(file, "\n\n".join(paragraphs), paragraph, name, gone)
                gone = name


class SmallFiles:
    """Files of some made-up words, no two alike, a hundred in a folder. An edit is another such text."""

    def __init__(self, folder: Path, count: int) -> None:
        draw = random.Random(SEED)
        self.folder = folder
        self.files = [folder / f"{number // _IN_ONE_FOLDER:03}" / f"{number:06}.txt" for number in range(count)]
        for file in self.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_small_text(draw), "utf-8")
        time.sleep(SETTLED_S)

    def probes(self, count: int) -> list[tuple[Path, str]]:
        """Some files, each with its whole text: hashed vectors find nothing else."""
        return [(file, file.read_text("utf-8")) for file in _spread(self.files, count)]

    def edits(self) -> Iterator[Edit]:
        draw = random.Random(SEED + 1)
        for file in draw.sample(self.files, len(self.files)):
            gone = None
            for _ in range(2):
                text = _small_text(draw)
                word = text.split()[0]
                yield Edit(file, text, text, word, gone)
                gone = word


def made_up_word(draw: random.Random) -> str:
    return "".join(draw.choices(_SYLLABLES, k=4))


def _small_text(draw: random.Random) -> str:
    """The first word is long enough to stand nowhere else."""
    return " ".join([made_up_word(draw) + made_up_word(draw), *(made_up_word(draw) for _ in range(_WORDS - 1))])


def _spread(files: Sequence[Path], count: int) -> Sequence[Path]:
    return files[:: max(1, len(files) // count)][:count]
