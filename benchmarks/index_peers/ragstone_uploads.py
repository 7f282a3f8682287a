"""Ragstone through its ingestion: what `POST /documents?wait=true` does, and `POST /search`."""

from __future__ import annotations

from pathlib import Path

from index_peers.corpus import VectorOf
from index_peers.measure import main
from index_peers.ragstone import GivenVectors, Product, Uploading


def open_peer(folder: Path, vector_of: VectorOf) -> Uploading:
    return Uploading(Product(folder, GivenVectors(vector_of)), vector_of)


if __name__ == "__main__":
    main(open_peer)
