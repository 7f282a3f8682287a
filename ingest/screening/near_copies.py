"""Signatures of documents in the catalog, each statement inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from ingest.catalog import schema, statements
from ingest.screening.minhash import bands


@dataclass(frozen=True, slots=True)
class Signed:
    """The signature of what a document shows; empty where none is to be known."""

    document_id: str
    collection: str
    signature: bytes


def put_signatures(connection: Connection, shown: Sequence[Signed]) -> None:
    """Those of new versions, in place of what their documents had."""
    forget_signatures(connection, [its.document_id for its in shown])
    signed = [its for its in shown if its.signature]
    if signed:
        connection.execute(insert(schema.signatures), [asdict(its) for its in signed])
        keys = [{"band": band, "document_id": its.document_id} for its in signed for band in set(bands(its.signature))]
        connection.execute(insert(schema.signature_bands), keys)


def forget_signatures(connection: Connection, document_ids: Sequence[str]) -> None:
    for table in (schema.signature_bands, schema.signatures):
        for part in statements.parts(document_ids):
            connection.execute(delete(table).where(table.c.document_id.in_(part)))


def near_copies(connection: Connection, collection: str, keys: Collection[int]) -> dict[str, bytes]:
    """Signatures that share a band, of documents that the head shows of the collection, by document."""
    found = connection.execute(_NEAR_COPIES, {"keys": list(keys), "collection": collection})
    return {document_id: bytes(signature) for document_id, signature in found}


def _near_copies() -> Select[Any]:
    """Built once, since it is asked for each file and takes longer to build than to execute."""
    signatures, bands_of, showings = schema.signatures, schema.signature_bands, schema.showings
    shown = select(showings.c.showing_id).where(
        showings.c.document_id == signatures.c.document_id, showings.c.removed_in.is_(None)
    )
    sharing = select(bands_of.c.document_id).where(bands_of.c.band.in_(bindparam("keys", expanding=True)))
    return select(signatures.c.document_id, signatures.c.signature).where(
        signatures.c.document_id.in_(sharing), signatures.c.collection == bindparam("collection"), shown.exists()
    )


_NEAR_COPIES = _near_copies()
