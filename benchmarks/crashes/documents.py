"""Documents whose every content can be told apart by a word that stands nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from ingest.chunks.chunking import chunk
from ingest.identity import document_id_of
from ingest.loaders.registry import extract
from retrieval.hash_embedder import HashEmbedder

CHUNK_TOKENS = 20
_SYLLABLES = ("ba", "du", "ke", "lo", "mi", "nu", "po", "ra", "si", "to", "ve", "zu")


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A document by what it is called: a word that stands in its URI and nowhere else, or the URI as it is."""

    collection: str
    word: str

    @property
    def uri(self) -> str:
        return self.word if "." in self.word else f"{self.word}.txt"

    @property
    def document_id(self) -> str:
        return document_id_of(self.collection, self.uri)


@dataclass(frozen=True, slots=True)
class Content:
    """A text; `marker` is a word of it that no other content has."""

    marker: str
    text: str

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def new_word(random: Random, initial: str) -> str:
    """A word of 12 characters, which no stemmer cuts and nothing else contains."""
    return initial + f"{random.getrandbits(40):010x}" + "7"


def new_content(random: Random) -> Content:
    """Some paragraphs that other contents have too, and one of its own; each is a chunk."""
    marker = new_word(random, "x")
    own = [marker, *(_word(random.randrange(150)) for _ in range(11))]
    random.shuffle(own)
    shared = [_paragraph(number) for number in random.sample(range(40), random.randrange(4))]
    paragraphs = [*shared, " ".join(own) + "."]
    random.shuffle(paragraphs)
    return Content(marker, "\n\n".join(paragraphs))


def queries(random: Random, count: int) -> list[str]:
    """Questions that several paragraphs answer."""
    return [" ".join(_word(random.randrange(150)) for _ in range(3)) for _ in range(count)]


@lru_cache(maxsize=10_000)
def chunk_ids(content: Content, uri: str, chunk_tokens: int = CHUNK_TOKENS) -> tuple[str, ...]:
    """What the content's chunks are to be, in their order."""
    extracted = extract(content.text.encode(), uri)
    embedder = HashEmbedder()
    spans = chunk(extracted, count_tokens=embedder.count_tokens, chunk_tokens=chunk_tokens, overlap_tokens=0)
    return tuple(span.chunk_id for span in spans)


def _word(number: int) -> str:
    first, second = divmod(number, len(_SYLLABLES))
    return _SYLLABLES[first % len(_SYLLABLES)] + _SYLLABLES[second] + "n" * (1 + first // len(_SYLLABLES))


def _paragraph(number: int) -> str:
    random = Random(f"paragraph {number}")
    return " ".join(_word(random.randrange(150)) for _ in range(12)) + "."
