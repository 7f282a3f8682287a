"""txtai: files read and cut by its Segmentation, a hybrid index with content, vectors from outside.

It keeps no account of files. Its user indexes all anew whenever something may have changed, or keeps the hashes of the
files by hand and upserts the segments of those that differ. Both are measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from txtai import Embeddings  # type: ignore[import-not-found,unused-ignore]
from txtai.pipeline import Segmentation  # type: ignore[import-not-found,unused-ignore]

from ingest.types import Vectors
from ingest_peers.embedding import CountedEmbedder
from ingest_peers.measure import CHUNK_TOKENS, About, Found, Saving, main

MOST_SEGMENTS = 100_000  # of one file
Row = tuple[str, dict[str, str], None]


class Txtai:
    """Indexes all anew."""

    about = About(
        name="txtai, all anew",
        packages=("txtai", "faiss-cpu", "chonkie", "onnxruntime"),
        cutting="Segmentation with chonkie's SentenceChunker",
        index="dense and BM25",
        refresh="all files are read, cut, embedded and indexed anew",
        durable="the whole index is written anew after each run, without fsync",
    )

    def __init__(self, documents: Path, folder: Path, embedder: CountedEmbedder) -> None:
        self._documents = documents
        self._index = folder / "index"

        def transform(texts: Sequence[str]) -> Vectors:
            return embedder.embed_documents(texts)

        def transform_query(texts: Sequence[str]) -> Vectors:
            return embedder.embed_query(texts[0])[None, :]

        self._transforms = {False: transform, True: transform_query}
        self._embeddings: Any = Embeddings(method="external", transform=transform, hybrid=True, content=True)
        if self._index.is_dir():
            self._embeddings.load(str(self._index), config={"transform": transform})
        self._segments = Segmentation(chunker="sentence", tokenizer=embedder.count_tokens, chunk_size=CHUNK_TOKENS)

    def refresh(self, saving: Saving) -> None:
        self._embeddings.index(self._rows(self._files()))
        self._save(saving)

    def counts(self) -> dict[str, int]:
        files = self._embeddings.search("select count(distinct path) files from txtai")[0]["files"]
        return {"files": files, "chunks": self._embeddings.count(), "held_back": 0}

    def search(self, query: str, k: int) -> list[Found]:
        self._embeddings.model.transform = self._transforms[True]  # so that a query is not counted as a document
        try:
            found = self._embeddings.search(
                "select path, text from txtai where similar(:query)", k, parameters={"query": query}
            )
        finally:
            self._embeddings.model.transform = self._transforms[False]
        return [(row["path"], row["text"]) for row in found]

    def close(self) -> None:
        self._embeddings.close()

    def _files(self) -> list[Path]:
        return sorted(path for path in self._documents.rglob("*") if path.is_file())

    def _rows(self, files: Iterable[Path]) -> Iterator[Row]:
        for file in files:
            path = self._name(file)
            for number, text in enumerate(self._segments(file.read_text("utf-8"))):
                yield f"{path}#{number}", {"text": text, "path": path}, None

    def _name(self, file: Path) -> str:
        return file.relative_to(self._documents).as_posix()

    def _save(self, saving: Saving) -> None:
        with saving():
            self._embeddings.save(str(self._index))


class TxtaiWithHashes(Txtai):
    """Upserts the files whose hash is another one than it was."""

    about = About(
        name="txtai, hashes by hand",
        packages=Txtai.about.packages,
        cutting=Txtai.about.cutting,
        index=Txtai.about.index,
        refresh="the user's own code reads and hashes all files, deletes and upserts the segments of those that differ",
        durable=Txtai.about.durable,
    )

    def __init__(self, documents: Path, folder: Path, embedder: CountedEmbedder) -> None:
        super().__init__(documents, folder, embedder)
        self._hashes_file = folder / "hashes.json"
        self._hashes: dict[str, str] = json.loads(self._hashes_file.read_text()) if self._hashes_file.is_file() else {}

    def refresh(self, saving: Saving) -> None:
        files = {self._name(file): file for file in self._files()}
        hashes = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
        changed = [name for name in files if self._hashes.get(name) != hashes[name]]
        old = [name for name in self._hashes if hashes.get(name) != self._hashes[name]]
        for name in old:
            self._embeddings.delete(self._ids_of(name))
        if changed:
            self._embeddings.upsert(self._rows(files[name] for name in changed))
        if changed or old:
            self._save(saving)
            with saving():
                self._hashes_file.write_text(json.dumps(hashes))
        self._hashes = hashes

    def _ids_of(self, name: str) -> list[str]:
        found = self._embeddings.search(
            "select id from txtai where path = :path", MOST_SEGMENTS, parameters={"path": name}
        )
        return [row["id"] for row in found]


if __name__ == "__main__":
    main({"txtai": Txtai, "txtai_hashes": TxtaiWithHashes})
