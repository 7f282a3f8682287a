"""What goes between the reading process and ours: JSON, and nothing that could be run."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ingest import errors
from ingest.config import ExtractionSettings, RedactionSettings, ScreeningSettings
from ingest.errors import RefusedDocument
from ingest.loaders.reading import Reading
from ingest.redaction import Redactor
from ingest.screening.findings import Finding
from ingest.screening.minhash import signature
from ingest.screening.screen import screen
from ingest.types import Extracted, Heading, Hidden, Page

_LENGTHS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Examination:
    """What is done with a document once it is text: personal data is replaced, then it is screened."""

    screening: ScreeningSettings = field(default_factory=ScreeningSettings)
    redaction: RedactionSettings = field(default_factory=RedactionSettings)


@dataclass(frozen=True, slots=True)
class Examined:
    """A document as text, what screening found in it, and by what its near copies are found."""

    extracted: Extracted
    findings: tuple[Finding, ...] = ()
    signature: bytes = b""
    redacted: Mapping[str, int] | None = None  # how many of each kind were replaced; None: nothing was looked for


def examine(extracted: Extracted, screening: ScreeningSettings, redactor: Redactor | None) -> Examined:
    """`findings` and `signature` are empty where screening is off."""
    redacted = None
    if redactor is not None:
        extracted, redacted = redactor.redact(extracted)
    if not screening.enabled:
        return Examined(extracted, redacted=redacted)
    return Examined(extracted, screen(extracted, screening), signature(extracted.text), redacted)


class ReaderBug(Exception):
    """A loader raised what it must not; the message is its traceback, for the log."""


@dataclass(frozen=True, slots=True)
class Request:
    """A file that is to be read. `with_next`: by the same fork as the one that comes after it."""

    number: int
    name: str
    data: bytes
    reading: Reading
    examination: Examination
    with_next: bool


def request(asked: Request) -> bytes:
    """Two lengths of eight bytes, then so many of JSON, and so many of the file."""
    head = {
        "number": asked.number,
        "name": asked.name.encode("utf-8", "backslashreplace").decode("utf-8"),
        "limits": asked.reading.limits.model_dump(mode="json"),
        "password": asked.reading.password,
        "max_text_mib": asked.reading.max_text_mib,
        "screening": asked.examination.screening.model_dump(mode="json"),
        "redaction": asked.examination.redaction.model_dump(mode="json"),
        "with_next": asked.with_next,
    }
    line = _line(head)
    return _LENGTHS.pack(len(line), len(asked.data)) + line + asked.data


def request_from(descriptor: int) -> Request | None:
    """The next request, or None at the end of the file."""
    lengths = _exactly(descriptor, _LENGTHS.size)
    if lengths is None:
        return None
    line, data = (_exactly(descriptor, length) for length in _LENGTHS.unpack(lengths))
    if line is None or data is None:
        return None
    head = json.loads(line)
    return Request(
        number=head["number"],
        name=head["name"],
        data=data,
        reading=Reading(ExtractionSettings(**head["limits"]), head["password"], head["max_text_mib"]),
        examination=Examination(ScreeningSettings(**head["screening"]), RedactionSettings(**head["redaction"])),
        with_next=head["with_next"],
    )


def read(examined: Examined) -> bytes:
    """The reply for a file that was read."""
    extracted = {**asdict(examined.extracted), "attachments": ()}
    findings = [asdict(finding) for finding in examined.findings]
    values = {"findings": findings, "signature": examined.signature.hex(), "redacted": examined.redacted}
    return _line({"read": extracted, **values})


def refused(error: RefusedDocument) -> bytes:
    """The reply for a file that is refused."""
    return _line({"refused": {"code": error.code, "detail": str(error)}})


def bug(trace: str) -> bytes:
    """The reply where a loader raised anything else."""
    return _line({"bug": trace})


def examined_of(reply: bytes) -> Examined:
    """The document of a reply. Raises the RefusedDocument that it tells of, and ReaderBug."""
    said = json.loads(reply)
    if "refused" in said:
        raise _REFUSALS[said["refused"]["code"]](said["refused"]["detail"])
    if "bug" in said:
        raise ReaderBug(said["bug"])
    values = said["read"]
    extracted = Extracted(
        text=values["text"],
        title=values["title"],
        media_type=values["media_type"],
        headings=tuple(Heading(**its) for its in values["headings"]),
        pages=tuple(Page(**its) for its in values["pages"]),
        hidden=tuple(Hidden(**its) for its in values["hidden"]),
        notes=tuple(values["notes"]),
    )
    findings = tuple(Finding(**its) for its in said["findings"])
    return Examined(extracted, findings, bytes.fromhex(said["signature"]), said["redacted"])


def _exactly(descriptor: int, length: int) -> bytes | None:
    parts = []
    while length:
        part = os.read(descriptor, min(length, 1 << 20))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _all_refusals(of: type[RefusedDocument]) -> dict[str, type[RefusedDocument]]:
    found = {of.code: of}
    for kind in of.__subclasses__():
        found |= _all_refusals(kind)
    return found


_REFUSALS = _all_refusals(errors.RefusedDocument)
