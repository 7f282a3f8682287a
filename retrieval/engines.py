"""The halves of the index as the settings choose them."""

from __future__ import annotations

from ingest.types import Space
from retrieval.config import RetrievalSettings
from retrieval.halves import DenseHalf, LexicalHalf
from retrieval.index_files import IndexFiles
from retrieval.tokens import Tokenizer


def lexical_half(settings: RetrievalSettings, tokenizer: Tokenizer, files: IndexFiles | None) -> LexicalHalf:
    """`files` None keeps all in memory. Numba is loaded by the engines of ours only."""
    k1, b, epsilon = settings.bm25_k1, settings.bm25_b, settings.bm25_epsilon
    if settings.lexical_engine == "rank-bm25":
        from retrieval.rank_bm25_index import RankBm25Index

        return RankBm25Index(k1=k1, b=b, epsilon=epsilon)
    from retrieval.bm25 import FORMAT, Bm25Index

    # What decides the terms belongs to the identity; k1 and b are applied by each search.
    store = files.store("lexical", {"tokenizer": tokenizer.identity, "format": FORMAT}) if files else None
    return Bm25Index(store, k1=k1, b=b, variant=settings.lexical_engine, epsilon=epsilon)


def dense_half(space: Space, settings: RetrievalSettings, files: IndexFiles | None) -> DenseHalf:
    """Raises MissingExtra where FAISS is chosen and not installed."""
    if settings.dense_engine == "faiss":
        from retrieval.faiss_index import FaissIndex

        return FaissIndex(space.dimension, 1)
    from retrieval.dense_index import FORMAT, DenseIndex
    from retrieval.idle_cores import IdleCores

    identity: dict[str, str | int] = {"space": space.space_id, "dimension": space.dimension, "format": FORMAT}
    store = files.store(f"dense-{space.space_id}", identity) if files else None
    cores = IdleCores(settings.dense_threads)
    return DenseIndex(store, space.dimension, exact_up_to=settings.dense_exact_up_to, idle_cores=cores)
