"""Query in, passages out: embedder, dense (FAISS), lexical (BM25), fusion, snapshots."""
