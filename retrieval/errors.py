"""Errors of retrieval, named by what the caller must do.

RetrievalError
├── BadQuery          change the request: an empty query, a revision that was never committed
├── EmptyIndex        upload documents first
├── MissingExtra      install the named extra
├── ModelUnavailable  the embedder's files are missing or damaged: `ragstone models fetch`
└── AnotherHistory    make the index anew: the catalog was replaced by another one
"""

from __future__ import annotations


class RetrievalError(Exception):
    """Root of this package's errors. `code` is stable and part of the API."""

    code = "retrieval-error"


class BadQuery(RetrievalError):
    code = "bad-query"


class EmptyIndex(RetrievalError):
    code = "empty-index"


class MissingExtra(RetrievalError):
    code = "missing-extra"


class ModelUnavailable(RetrievalError):
    code = "embedder-unavailable"


class AnotherHistory(RetrievalError):
    code = "another-history"
