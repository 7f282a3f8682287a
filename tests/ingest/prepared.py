"""Versions ready to be committed, made of one paragraph a chunk and of vectors that follow from the text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ingest.catalog.catalog import Catalog
from ingest.catalog.statements import PreparedVersion
from ingest.identity import document_id_of
from ingest.revisions.history import Committed, History
from ingest.types import ChunkSpan, Extracted, Space

SPACE = Space(model="test", fingerprint="0", dimension=4)


def vector_of(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).normal(size=SPACE.dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def prepared(
    paragraphs: Sequence[str], uri: str = "a.md", collection: str = "default", way: str = "1"
) -> PreparedVersion:
    """`way` stands for what turned the bytes into chunks."""
    spans, start = [], 0
    for ordinal, paragraph in enumerate(paragraphs):
        spans.append(ChunkSpan(ordinal, start, start + len(paragraph), (), None, paragraph))
        start += len(paragraph) + 2
    text = "\n\n".join(paragraphs)
    return PreparedVersion(
        document_id=document_id_of(collection, uri),
        collection=collection,
        uri=uri,
        metadata=None,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        prepared_with=way,
        size_bytes=len(text),
        extracted=Extracted(text=text, title=uri, media_type="text/plain"),
        spans=spans,
        vectors={span.chunk_id: vector_of(span.input) for span in spans},
    )


def commit(catalog: Catalog, paragraphs: Sequence[str], uri: str = "a.md", collection: str = "default") -> Committed:
    return History(catalog).commit_version(prepared(paragraphs, uri, collection), SPACE)
