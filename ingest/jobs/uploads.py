"""The files of a job, as they stand in its payload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from ingest.identity import document_id_of
from ingest.types import DocumentOutcome, Problem


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to ingest; its bytes are among the originals under `content_hash`."""

    collection: str
    uri: str
    name: str
    content_hash: str
    size_bytes: int
    metadata: dict[str, Any] | None  # None: the document keeps what it has
    batch: str | None = None  # staged in this batch, not shown
    readable: list[str] | None = None  # the collections that the uploader may read; None: all
    erased: bool = False  # its document was erased while it waited
    password: str | None = None  # of the file; taken out of the catalog when the job has ended
    released: bool = False  # somebody looked at what screening had found
    source: str | None = None  # the source that brought it
    document: str | None = None  # its document's id, where the names it comes from were erased

    @property
    def document_id(self) -> str:
        return self.document or document_id_of(self.collection, self.uri)

    def failed(self, code: str, detail: str) -> DocumentOutcome:
        """Its outcome when it is not taken in."""
        problem = Problem(code=code, detail=detail, uri=self.uri)
        return DocumentOutcome(document_id=self.document_id, uri=self.uri, state="failed", problem=problem)


def stored(upload: Upload) -> dict[str, Any]:
    """An upload in the payload: what is as usual is left out."""
    return {name: value for name, value in asdict(upload).items() if value != _USUAL.get(name, _UNUSUAL)}


def payload_of(uploads: Iterable[Upload]) -> list[dict[str, Any]]:
    """Uploads as they stand in a payload."""
    return [stored(upload) for upload in uploads]


def uploads_of(payload: Mapping[str, Any]) -> list[Upload]:
    """All files that a job came with."""
    return [Upload(**values) for values in payload.get("uploads", ())]


def left_of(payload: Mapping[str, Any], total: int, outcomes: Sequence[Mapping[str, Any]]) -> list[Upload]:
    """Those of a job of `total` files whose outcomes are not known yet.

    The first outcomes are of files that were refused at once, and so are not in the payload.
    """
    brought = uploads_of(payload)
    known = Counter(outcome["document_id"] for outcome in outcomes[total - len(brought) :])
    left = []
    for upload in brought:
        if known[upload.document_id]:
            known[upload.document_id] -= 1
        else:
            left.append(upload)
    return left


def has_passwords(payload: Mapping[str, Any]) -> bool:
    return any("password" in values for values in payload.get("uploads", ()))


def without_passwords(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a job that has ended: nothing in it is a secret."""
    uploads = [{name: value for name, value in its.items() if name != "password"} for its in payload["uploads"]]
    return {**payload, "uploads": uploads}


_UNUSUAL = object()
_USUAL = {field.name: field.default for field in fields(Upload) if field.default is not MISSING}
