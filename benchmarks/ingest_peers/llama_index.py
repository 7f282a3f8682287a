"""LlamaIndex: SimpleDirectoryReader, then an IngestionPipeline with a docstore, on its own store of vectors or Chroma.

Favourable to it: the cache of transformations is off, as the docstore keeps unchanged files from being transformed at
all; the metadata is the file's name only, as the default one has each chunk embedded with the file's whole path, which
makes chunks shorter and more; and no lexical half is kept, which it would build anew each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import chromadb  # type: ignore[import-not-found,unused-ignore]
from chromadb.config import Settings as ChromaSettings  # type: ignore[import-not-found,unused-ignore]
from llama_index.core import SimpleDirectoryReader
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore, VectorStoreQuery
from llama_index.vector_stores.chroma import ChromaVectorStore

from ingest_peers.embedding import BATCH, CountedEmbedder
from ingest_peers.measure import CHUNK_TOKENS, About, Found, Saving, main

NAME = "file_name"  # of the metadata that SimpleDirectoryReader keeps out of what is embedded


class Store(Protocol):
    """Vectors and texts of chunks."""

    vectors: Any

    def took(self, nodes: list[Any]) -> None:
        """Called after the pipeline has put new nodes into `vectors`."""
        ...

    def found(self, query: list[float], k: int) -> list[Any]:
        """Nodes, best first."""
        ...

    def count(self) -> int: ...

    def save(self) -> None: ...


class SimpleStores:
    """SimpleVectorStore, which holds no texts, and a docstore of nodes beside it; both are written whole, as JSON."""

    def __init__(self, folder: Path) -> None:
        self._vectors_file, self._nodes_file = str(folder / "vectors.json"), str(folder / "nodes.json")
        there = Path(self._vectors_file).is_file()
        self.vectors = SimpleVectorStore.from_persist_path(self._vectors_file) if there else SimpleVectorStore()
        self._nodes = SimpleDocumentStore.from_persist_path(self._nodes_file) if there else SimpleDocumentStore()

    def took(self, nodes: list[Any]) -> None:
        for document in {node.ref_doc_id for node in nodes}:
            self._nodes.delete_ref_doc(document, raise_error=False)
        self._nodes.add_documents(nodes)

    def found(self, query: list[float], k: int) -> list[Any]:
        result = self.vectors.query(VectorStoreQuery(query_embedding=query, similarity_top_k=k))
        return [self._nodes.get_node(node_id) for node_id in result.ids]

    def count(self) -> int:
        return len(self.vectors.data.embedding_dict)

    def save(self) -> None:
        self.vectors.persist(self._vectors_file)
        self._nodes.persist(self._nodes_file)


class Chroma:
    """Chroma on disk, with the texts; it writes by itself."""

    def __init__(self, folder: Path) -> None:
        client = chromadb.PersistentClient(str(folder / "chroma"), ChromaSettings(anonymized_telemetry=False))
        self._collection = client.get_or_create_collection("documents")
        self.vectors = ChromaVectorStore(chroma_collection=self._collection)

    def took(self, nodes: list[Any]) -> None:
        """They are in it already."""

    def found(self, query: list[float], k: int) -> list[Any]:
        result = self.vectors.query(VectorStoreQuery(query_embedding=query, similarity_top_k=k))
        return list(result.nodes)

    def count(self) -> int:
        return int(self._collection.count())

    def save(self) -> None:
        """It is saved already."""


class SameEmbedder(BaseEmbedding):  # type: ignore[misc]  # its base is untyped here
    """Ours, as LlamaIndex calls one."""

    embedder: Any

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self.embedder.embed_query(query).tolist()
        return vector

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self.embedder.embed_documents(texts).tolist()
        return vectors

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class LlamaIndex:
    about = About(
        name="llama-index",
        packages=("llama-index-core", "onnxruntime"),
        cutting="SentenceSplitter",
        index="dense only, in memory, exact",
        refresh="all files are read and hashed, what the docstore knows is left out (UPSERTS_AND_DELETE)",
        durable="docstore, vectors and nodes are written anew as JSON after each run, without fsync",
    )

    def __init__(
        self, documents: Path, folder: Path, embedder: CountedEmbedder, stores: type[Store] = SimpleStores
    ) -> None:
        self._documents, self._folder = documents, folder
        self._store = stores(folder)  # type: ignore[call-arg]  # a protocol says nothing of constructors
        self._embedding = SameEmbedder(embedder=embedder, embed_batch_size=BATCH)
        splitter = SentenceSplitter(
            chunk_size=CHUNK_TOKENS, chunk_overlap=0, tokenizer=lambda text: range(embedder.count_tokens(text))
        )
        self._pipeline = IngestionPipeline(
            transformations=[splitter, self._embedding],
            docstore=SimpleDocumentStore(),
            vector_store=self._store.vectors,
            docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
            disable_cache=True,
        )
        if (folder / "pipeline").is_dir():
            self._pipeline.load(str(folder / "pipeline"))

    def refresh(self, saving: Saving) -> None:
        reader = SimpleDirectoryReader(
            str(self._documents),
            recursive=True,
            filename_as_id=True,
            file_metadata=self._metadata,
            exclude_hidden=False,  # it means the folders above as well, and the cache may be in a hidden one
        )
        nodes = list(self._pipeline.run(documents=reader.load_data()))
        self._store.took(nodes)
        if nodes:  # none of the files here is ever deleted, else it would have to be saved then too
            with saving():
                self._pipeline.persist(str(self._folder / "pipeline"))
                self._store.save()

    def counts(self) -> dict[str, int]:
        return {"files": len(self._pipeline.docstore.docs), "chunks": self._store.count(), "held_back": 0}

    def search(self, query: str, k: int) -> list[Found]:
        nodes = self._store.found(self._embedding.get_query_embedding(query), k)
        return [(node.metadata[NAME], node.get_content()) for node in nodes]

    def close(self) -> None:
        """Nothing is held open."""

    def _metadata(self, path: str) -> dict[str, str]:
        return {NAME: Path(path).relative_to(self._documents).as_posix()}


class LlamaIndexOnChroma(LlamaIndex):
    about = About(
        name="llama-index, Chroma",
        packages=("llama-index-core", "llama-index-vector-stores-chroma", "chromadb", "onnxruntime"),
        cutting=LlamaIndex.about.cutting,
        index="dense only, Chroma's HNSW",
        refresh=LlamaIndex.about.refresh,
        durable="Chroma's SQLite takes vectors and texts at once; the docstore is written anew as JSON, without fsync",
    )

    def __init__(self, documents: Path, folder: Path, embedder: CountedEmbedder) -> None:
        super().__init__(documents, folder, embedder, Chroma)


if __name__ == "__main__":
    main({"llama_index": LlamaIndex, "llama_index_chroma": LlamaIndexOnChroma})
