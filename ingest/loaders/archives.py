"""Archives (ZIP, TAR, and one file packed by gzip, bzip2 or xz): their members as attachments. Nothing touches disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import PurePosixPath
from typing import IO, Any

from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.packages import open_package
from ingest.loaders.reading import MIB, Reading
from ingest.loaders.text import clean, stem
from ingest.types import Attachment, Extracted

_ENCRYPTED = 0x1  # of the flags of a member
_UTF_8_NAME = 0x800
_SMALL_MIB = 10  # an expansion within this harms nobody
_BLOCK = 1 << 20
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_PACKED_EXTENSIONS = (".gz", ".bz2", ".xz", ".tgz", ".tbz2", ".txz")
_OF_NO_INTEREST = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
# What the readers raise on damaged data, beside their own errors.
_DAMAGE = (EOFError, OSError, ValueError, NotImplementedError, zlib.error, lzma.LZMAError, tarfile.TarError)


def load_zip(data: bytes, name: str, reading: Reading) -> Extracted:
    """The members, without text of its own.

    Raises CorruptDocument, LimitExceeded, and EncryptedDocument where a password is missing or another one is needed.
    """
    package = open_package(data, name, reading)
    attachments: list[Attachment] = []
    notes: list[str] = []
    members = [info for info in package.infolist() if not (info.is_dir() or _is_of_no_interest(info.filename))]
    if len(members) > reading.limits.max_files:
        raise LimitExceeded(
            f"{name}: packs {len(members)} files, the limit is {reading.limits.max_files}. "
            "Split it, or raise `ingest.extraction.max_files`."
        )
    for info in members:
        member = _zip_name(info)
        try:
            with package.open(info, pwd=_password(info, reading)) as stream:
                content = stream.read(info.file_size + 1)[: info.file_size]
        except RuntimeError as error:  # the password, or an encryption that the library can't read
            if not reading.password:
                raise EncryptedDocument(f"{name}: is protected by a password. Upload it with its password.") from error
            raise EncryptedDocument(
                f"{name}: its password is another one ({member} can't be opened with it), or it is encrypted by AES. "
                "Upload it with the right password, or pack it again without one."
            ) from error
        except (zipfile.BadZipFile, *_DAMAGE):
            # A wrong password passes the check of one byte in 256 times, and then gives damaged data.
            notes.append(f"{member} was left out: it is damaged, or packed in a way that can't be read")
        else:
            attachments.append(Attachment(name=member, data=content))
    return _archive(name, "application/zip", attachments, notes)


def load_packed(data: bytes, name: str, reading: Reading) -> Extracted:
    """A TAR archive, or what is packed by gzip, bzip2 or xz: again a TAR archive, or a single file.

    Raises CorruptDocument, LimitExceeded.
    """
    opener = next((opener for magic, opener in _PACKED.items() if data.startswith(magic)), None)
    try:
        if opener is None:
            return _tar(data, name, reading)
        with opener(io.BytesIO(data)) as stream:
            content = _read(stream, len(data), name, reading)
    except _DAMAGE as error:
        raise CorruptDocument(f"{name}: the archive is damaged or cut off. Pack it again, then upload it.") from error
    if is_tar(content):
        return load_packed(content, name, reading)
    path = PurePosixPath(name.replace("\\", "/"))
    inner = path.stem if path.suffix.lower() in _PACKED_EXTENSIONS else path.name
    return _archive(name, "application/gzip", [Attachment(name=inner or "file", data=content)], [])


def is_packed(data: bytes) -> bool:
    """Whether `load_packed` is the loader for `data`."""
    return data.startswith(tuple(_PACKED)) or is_tar(data)


def is_tar(data: bytes) -> bool:
    return data[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC


def _tar(data: bytes, name: str, reading: Reading) -> Extracted:
    attachments: list[Attachment] = []
    notes: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="surrogateescape") as archive, closing(archive):
        for number, member in enumerate(archive, start=1):
            if number > reading.limits.max_files:
                raise LimitExceeded(
                    f"{name}: packs more than {reading.limits.max_files} files. "
                    "Split it, or raise `ingest.extraction.max_files`."
                )
            if not member.isfile() or _is_of_no_interest(member.name):
                continue
            stream = archive.extractfile(member) if member.size <= len(data) else None  # sparse ones may state more
            if stream is None:
                notes.append(f"{clean(member.name)} was left out: it states more bytes than the archive has")
            else:
                attachments.append(Attachment(name=clean(member.name) or "file", data=stream.read()))
    return _archive(name, "application/x-tar", attachments, notes)


def _read(stream: IO[bytes], packed: int, name: str, reading: Reading) -> bytes:
    """All of a stream, in blocks, unless it becomes too large."""
    limit = reading.limits.max_unpacked_mib * MIB
    dense = max(_SMALL_MIB * MIB, reading.limits.max_expansion * packed)
    blocks: list[bytes] = []
    for unpacked, block in _counted(stream):
        if unpacked > limit:
            raise LimitExceeded(
                f"{name}: unpacks to more than {reading.limits.max_unpacked_mib:g} MiB. "
                "Split it, or raise `ingest.extraction.max_unpacked_mib`."
            )
        if unpacked > dense:
            raise LimitExceeded(
                f"{name}: unpacks to more than {reading.limits.max_expansion:g} times its size. "
                "Documents are packed less densely; if it is one, raise `ingest.extraction.max_expansion`."
            )
        blocks.append(block)
    return b"".join(blocks)


def _counted(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    total = 0
    while block := stream.read(_BLOCK):
        total += len(block)
        yield total, block


def _password(info: zipfile.ZipInfo, reading: Reading) -> bytes | None:
    return reading.password.encode("utf-8") if reading.password and info.flag_bits & _ENCRYPTED else None


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Names that are not marked as UTF-8 are read as those of old DOS; most are UTF-8 nevertheless."""
    if info.flag_bits & _UTF_8_NAME:
        return clean(info.filename)
    try:
        return clean(info.filename.encode("cp437").decode("utf-8"))
    except UnicodeError:
        return clean(info.filename)


def _is_of_no_interest(path: str) -> bool:
    """What operating systems put beside the files."""
    return path.startswith(_OF_NO_INTEREST[0]) or PurePosixPath(path).name in _OF_NO_INTEREST


def _archive(name: str, media_type: str, attachments: list[Attachment], notes: list[str]) -> Extracted:
    return Extracted(
        text="", title=stem(name), media_type=media_type, notes=tuple(notes), attachments=tuple(attachments)
    )
