"""What goes between the reading process and ours: JSON, and nothing that could be run."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ingest import errors
from ingest.config import ExtractionSettings
from ingest.errors import RefusedDocument
from ingest.loaders.reading import Reading
from ingest.types import Extracted, Heading, Hidden, Page


class ReaderBug(Exception):
    """A loader raised what it must not; the message is its traceback, for the log."""


def request(data: bytes, name: str, reading: Reading) -> bytes:
    """A line of JSON, then the file's bytes."""
    head = {
        "size": len(data),
        "name": name.encode("utf-8", "backslashreplace").decode("utf-8"),
        "limits": reading.limits.model_dump(mode="json"),
        "password": reading.password,
        "max_text_mib": reading.max_text_mib,
    }
    return _line(head) + data


def reading_of(head: dict[str, Any]) -> Reading:
    """How the file of a request is to be read."""
    return Reading(ExtractionSettings(**head["limits"]), head["password"], head["max_text_mib"])


def read(extracted: Extracted) -> bytes:
    """The reply for a file that was read."""
    return _line({"read": {**asdict(extracted), "attachments": ()}})


def refused(error: RefusedDocument) -> bytes:
    """The reply for a file that is refused."""
    return _line({"refused": {"code": error.code, "detail": str(error)}})


def bug(trace: str) -> bytes:
    """The reply where a loader raised anything else."""
    return _line({"bug": trace})


def extracted_of(reply: bytes) -> Extracted:
    """The document of a reply. Raises the RefusedDocument that it tells of, and ReaderBug."""
    said = json.loads(reply)
    if "refused" in said:
        raise _REFUSALS[said["refused"]["code"]](said["refused"]["detail"])
    if "bug" in said:
        raise ReaderBug(said["bug"])
    values = said["read"]
    return Extracted(
        text=values["text"],
        title=values["title"],
        media_type=values["media_type"],
        headings=tuple(Heading(**its) for its in values["headings"]),
        pages=tuple(Page(**its) for its in values["pages"]),
        hidden=tuple(Hidden(**its) for its in values["hidden"]),
        notes=tuple(values["notes"]),
    )


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _all_refusals(of: type[RefusedDocument]) -> dict[str, type[RefusedDocument]]:
    found = {of.code: of}
    for kind in of.__subclasses__():
        found |= _all_refusals(kind)
    return found


_REFUSALS = _all_refusals(errors.RefusedDocument)
