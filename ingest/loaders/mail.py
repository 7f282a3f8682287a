"""E-mail as it is sent (EML, MHT) and as it is kept (MBOX), by the parser of the standard library.

Its older policy is used: the modern one parses each header by a grammar that raises RecursionError on some, and takes a
second for one of 16,000 addresses.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import mimetypes
import re
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.encodings import decode_as, wide_codec
from ingest.loaders.letters import SHOWN_HEADERS, Body, Letter, composed, file_name, page_of
from ingest.loaders.reading import Reading
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted

_MAX_HEADER = 20_000  # characters that are decoded: the search for encoded words is quadratic
_MAX_PARAMETERS = 100  # of a header: the search for the end of each is quadratic too
_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]{0,900}\d\d:\d\d[^\n]{0,99}\n")
_QUOTED_SEPARATOR = re.compile(rb"^>(>*From )", re.M)
_PGP = re.compile(r"-----BEGIN PGP MESSAGE-----.*?(?:-----END PGP MESSAGE-----|\Z)", re.S)
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_SMIME = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))


def load(data: bytes, name: str, reading: Reading) -> Extracted:
    """A message as text: some of its headers, then its body. Of a mailbox, each message is an attachment.

    What was attached becomes `attachments`, forwarded messages too. Raises EncryptedDocument where the body can be read
    by its receiver alone, CorruptDocument for parts nested too deeply, LimitExceeded for too many parts or messages.
    """
    codec = wide_codec(data)
    if codec is not None:
        data = data.decode(codec, "replace").lstrip("\ufeff").encode("utf-8")
    data = data.lstrip()
    starts = list(_SEPARATOR.finditer(data)) if data.startswith(b"From ") else []
    if len(starts) > 1:
        ends = [*(match.start() for match in starts[1:]), len(data)]
        return _mailbox([data[match.end() : end] for match, end in zip(starts, ends, strict=True)], name, reading)
    try:
        return _Parts(name, reading).read(email.message_from_bytes(data, policy=_Policy()))
    except RecursionError as error:
        raise CorruptDocument(f"{name}: its parts are nested too deeply. Save the message again.") from error


def looks_like_mail(data: bytes) -> bool:
    """Whether `data` begins with the headers of a message, some of which no other text has."""
    head = re.split(rb"\r?\n\r?\n", data[:_MAX_HEADER].lstrip(), maxsplit=1)[0]
    names = {match[1].lower() for match in re.finditer(rb"^([A-Za-z][\w-]{1,60}):[ \t]", head, re.M)}
    telling = len(names & {b"from", b"date", b"message-id", b"received", b"mime-version", b"subject"})
    if _SEPARATOR.match(data):
        return telling >= 1
    return telling >= 3 and re.match(rb"[A-Za-z][\w-]{1,60}:[ \t]", head) is not None


def _mailbox(messages: list[bytes], name: str, reading: Reading) -> Extracted:
    if len(messages) > reading.limits.max_files:
        raise LimitExceeded(
            f"{name}: holds {len(messages)} messages, the limit is {reading.limits.max_files}. "
            "Split it, or raise `ingest.extraction.max_files`."
        )
    attachments = []
    for number, source in enumerate(messages, start=1):
        headers = BytesHeaderParser(policy=email.policy.compat32).parsebytes(source[:_MAX_HEADER])
        message = _QUOTED_SEPARATOR.sub(rb"\1", source)
        attachments.append(Attachment(name=file_name(_header(headers, "Subject"), number), data=message))
    return Extracted(text="", title=stem(name), media_type="application/mbox", attachments=tuple(attachments))


class _Policy(email.policy.Compat32):
    """That of the older parser, for headers of bounded length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        value = value[:_MAX_HEADER]
        if name.lower().startswith("content-") and value.count(";") > _MAX_PARAMETERS:
            value = ";".join(value.split(";", _MAX_PARAMETERS)[:_MAX_PARAMETERS])
        return name, value


class _Parts:
    """Walks the parts of one message."""

    def __init__(self, name: str, reading: Reading) -> None:
        self._name = name
        self._reading = reading
        self._count = 0
        self._bodies: list[Body] = []
        self._attachments: list[Attachment] = []
        self._notes: list[str] = []
        self._pictures = 0
        self._encryption = ""

    def read(self, message: Message) -> Extracted:
        self._take(message)
        has_body = any(body.plain or body.page for body in self._bodies)
        if self._encryption:
            if not has_body and not self._attachments:
                raise EncryptedDocument(
                    f"{self._name}: its body is encrypted by {self._encryption}. "
                    "Open it in a mail program and save it without encryption."
                )
            self._notes.append(f"a part that is encrypted by {self._encryption} was left out")
        if self._pictures:
            self._notes.append(f"pictures within the message were left out ({self._pictures})")
        letter = Letter(
            headers={header: _header(message, header) for header in SHOWN_HEADERS},
            bodies=tuple(self._bodies),
            attachments=tuple(self._attachments),
            notes=tuple(self._notes),
        )
        if not has_body and not self._attachments and not any(letter.headers.values()):
            raise CorruptDocument(f"{self._name}: is no message: it has neither headers nor a body. Save it again.")
        return composed(letter, self._name, "message/rfc822")

    def _take(self, part: Message) -> None:
        self._count += 1
        if self._count > self._reading.limits.max_files:
            raise LimitExceeded(
                f"{self._name}: has more than {self._reading.limits.max_files} parts. "
                "Split it, or raise `ingest.extraction.max_files`."
            )
        kind = part.get_content_type()
        parts: list[Any] = _parts_of(part)
        if not parts:
            self._leaf(part, kind)
        elif kind == "multipart/alternative":
            self._alternative(parts)
        elif kind == "multipart/encrypted":
            self._encryption = "PGP"
        elif kind == "multipart/signed":
            self._take(parts[0])
        elif kind == "multipart/related":
            self._take(parts[0])
            for related in parts[1:]:
                self._attach(related, related.get_content_type())
        elif kind.startswith("message/"):
            self._forwarded(part, kind, parts)
        else:
            for one in parts:
                self._take(one)

    def _alternative(self, parts: list[Any]) -> None:
        """The forms of one body: plain text and a page, each maybe among other parts, become one."""
        before = self._bodies
        self._bodies = []
        for part in parts:
            self._take(part)
        plains = [body.plain for body in self._bodies if body.plain]
        pages = [body.page for body in self._bodies if body.page]
        one = Body(plain="\n\n".join(plains) or None, page=pages[-1] if pages else None)
        # Several pages are no forms of one text, nor is a page among others that are plain.
        self._bodies = before + ([one] if len(pages) <= 1 else self._bodies)

    def _leaf(self, part: Message, kind: str) -> None:
        is_attached = part.get_content_disposition() == "attachment" or bool(_file_name_of(part))
        if kind in _SIGNATURES:
            return
        if kind in _SMIME and "signed-data" not in str(part.get_param("smime-type", "")).lower():
            self._encryption = "S/MIME"
        elif kind.startswith("multipart/") or (kind in ("text/plain", "text/html") and not is_attached):
            self._body(part, kind)
        else:
            self._attach(part, kind)

    def _body(self, part: Message, kind: str) -> None:
        source = decode_as(_payload(part), part.get_content_charset())
        if kind == "text/html":
            page = page_of(source, self._name, self._reading)
            if isinstance(page, Extracted):
                self._bodies.append(Body(page=page))
            elif page:
                self._notes.append(page)
            return
        if "-----BEGIN PGP MESSAGE-----" in source:
            self._encryption = "PGP"
            source = _PGP.sub("", source)
        if str(part.get_param("format", "")).lower() == "flowed":
            source = _unfolded(source, deletes_space=str(part.get_param("delsp", "")).lower() == "yes")
        if source.strip():
            self._bodies.append(Body(plain=source))

    def _attach(self, part: Message, kind: str) -> None:
        name = _file_name_of(part)
        if kind.startswith("image/") and part["Content-ID"] and part.get_content_disposition() != "attachment":
            self._pictures += 1
        elif part.is_multipart():
            self._take(part)
        elif data := _payload(part):
            extension = mimetypes.guess_extension(kind) or ""
            self._attachments.append(Attachment(name=name or f"attachment{extension}", data=data))

    def _forwarded(self, part: Message, kind: str, parts: list[Any]) -> None:
        if kind not in ("message/rfc822", "message/global"):  # a report of delivery: what the body says, for programs
            return
        for message in parts:
            name = file_name(_header(message, "Subject"))
            try:
                source = message.as_bytes(policy=email.policy.compat32)
            except (UnicodeError, LookupError, ValueError, TypeError, AttributeError):  # it was parsed, but is no mail
                self._notes.append(f"a message in it could not be read ({name})")
            else:
                self._attachments.append(Attachment(name=name, data=source))


def _header(message: Message, name: str) -> str:
    return _decoded(next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), ""))


def _decoded(raw: str) -> str:
    """What a header says: its encoded words (RFC 2047) and its bytes of any encoding as characters."""
    raw = raw[:_MAX_HEADER]
    value = raw if raw.isascii() else decode_as(raw.encode("utf-8", "surrogateescape"), None)
    try:
        words = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        words = [(value, None)]
    parts = [word if isinstance(word, str) else decode_as(word, charset) for word, charset in words]
    return " ".join(clean("".join(parts)).split())


def _file_name_of(part: Message) -> str:
    try:
        return _decoded(part.get_filename(""))
    except (LookupError, ValueError, TypeError):  # a parameter in pieces that don't fit
        return ""


def _parts_of(part: Message) -> list[Any]:
    # Asked for what is no list, it decodes by the stated charset, and raises for some that are none.
    payload = part.get_payload() if part.is_multipart() else []
    return payload if isinstance(payload, list) else []


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _unfolded(source: str, *, deletes_space: bool) -> str:
    """Lines that end in a space go on in the next one of the same depth of quotation (RFC 3676)."""
    lines: list[str] = []
    pending: list[str] = []
    last_quote = ""
    for line in [*source.replace("\r\n", "\n").split("\n"), None]:
        content = (line or "").lstrip(">")
        quote = ">" * (len(line or "") - len(content))
        content = content.removeprefix(" ")
        if pending and (line is None or quote != last_quote or content == "-- "):
            lines.append("".join(pending))
            pending = []
        if line is None:
            break
        flows = content.endswith(" ") and content != "-- "
        pending += [f"{quote} " if quote and not pending else "", content[:-1] if flows and deletes_space else content]
        last_quote = quote
        if not flows:
            lines.append("".join(pending))
            pending = []
    return "\n".join(lines)
