"""OpenDocument packages (ODT, ODS, ODP): their parts, decrypted where they are under a password (ODF 1.2 part 3, 3.4).

Decrypted are AES-256 in CBC mode and Blowfish, with keys by PBKDF2: what OpenOffice and LibreOffice up to 24.2 write.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ingest.errors import EncryptedDocument, LimitExceeded, UnsupportedFormat
from ingest.loaders.packages import open_package, parse_xml, part
from ingest.loaders.reading import MIB, Reading

MANIFEST = "META-INF/manifest.xml"
_NS = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"
_MOST_ITERATIONS = 10_000_000
_CHECKED = 1024  # bytes that the checksum of a part covers
_SALT_LENGTHS = range(8, 65)


@dataclass(frozen=True, slots=True)
class _Lock:
    """How one part is encrypted."""

    size: int
    cipher: str
    start_key: str
    iterations: int
    key_size: int
    salt: bytes
    vector: bytes
    checksum_kind: str
    checksum: bytes


@dataclass(slots=True)
class OdfPackage:
    """The parts of one document."""

    package: zipfile.ZipFile
    name: str
    reading: Reading
    locks: dict[str, _Lock] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        return path in self.package.NameToInfo

    def part(self, path: str) -> bytes:
        """The bytes of a part. Raises CorruptDocument, EncryptedDocument for a wrong password, LimitExceeded."""
        data = part(self.package, path, self.name)
        lock = self.locks.get(path)
        return data if lock is None else self._unlocked(data, lock)

    def xml(self, path: str) -> Any | None:
        """The root element of a part, None where there is no such part."""
        return parse_xml(self.part(path), self.name) if path in self else None

    def _unlocked(self, data: bytes, lock: _Lock) -> bytes:
        if lock.size > self.reading.limits.max_unpacked_mib * MIB:
            raise LimitExceeded(
                f"{self.name}: unpacks to {lock.size / MIB:.1f} MiB, the limit is "
                f"{self.reading.limits.max_unpacked_mib:g} MiB. "
                "Split it, or raise `ingest.extraction.max_unpacked_mib`."
            )
        wrong = EncryptedDocument(f"{self.name}: the password is not the right one. Upload it with the right one.")
        packed = _decrypted(data, lock, self.reading.password or "")
        if packed is None or not _checks(packed, lock):
            raise wrong
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, lock.size + 1)[: lock.size]
        except zlib.error as error:
            raise wrong from error


def open_odf(data: bytes, name: str, reading: Reading) -> OdfPackage:
    """The package, ready to be read.

    Raises EncryptedDocument where a password is needed, UnsupportedFormat for an encryption that is not known,
    CorruptDocument, LimitExceeded.
    """
    package = OdfPackage(open_package(data, name, reading), name, reading)
    manifest = package.xml(MANIFEST)
    for entry in () if manifest is None else manifest.iter(_NS + "file-entry"):
        encryption = entry.find(_NS + "encryption-data")
        if encryption is None:
            continue
        if reading.password is None:
            raise EncryptedDocument(f"{name}: is protected by a password. Upload it with the password.")
        package.locks[entry.get(_NS + "full-path") or ""] = _lock(entry, encryption, name)
    return package


def _lock(entry: Any, encryption: Any, name: str) -> _Lock:
    algorithm = encryption.find(_NS + "algorithm")
    derivation = encryption.find(_NS + "key-derivation")
    start = encryption.find(_NS + "start-key-generation")
    try:
        if "PBKDF2" not in derivation.get(_NS + "key-derivation-name").upper():
            raise ValueError("its key is made in a new way")
        lock = _Lock(
            size=int(entry.get(_NS + "size")),
            cipher=algorithm.get(_NS + "algorithm-name").rpartition("#")[2].lower(),
            start_key="sha1" if start is None else _hash_name(start.get(_NS + "start-key-generation-name")),
            iterations=int(derivation.get(_NS + "iteration-count")),
            key_size=int(derivation.get(_NS + "key-size") or 16),
            salt=base64.b64decode(derivation.get(_NS + "salt")),
            vector=base64.b64decode(algorithm.get(_NS + "initialisation-vector")),
            checksum_kind=_hash_name(encryption.get(_NS + "checksum-type") or ""),
            checksum=base64.b64decode(encryption.get(_NS + "checksum") or ""),
        )
        if lock.cipher not in ("aes256-cbc", "blowfish cfb") or lock.key_size not in (16, 32):
            raise ValueError(f"by {lock.cipher}")
        if not 0 < lock.iterations <= _MOST_ITERATIONS or len(lock.salt) not in _SALT_LENGTHS or lock.size < 0:
            raise ValueError("with numbers that can't be")
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise UnsupportedFormat(
            f"{name}: is encrypted in a way that is not known ({error}). Remove the password and upload it again."
        ) from error
    return lock


def _hash_name(kind: str) -> str:
    return "sha256" if "256" in kind else "sha1"


def _decrypted(data: bytes, lock: _Lock, password: str) -> bytes | None:
    """The packed bytes of a part, None where they can't be the ones."""
    start = hashlib.new(lock.start_key, password.encode()).digest()
    key = hashlib.pbkdf2_hmac("sha1", start, lock.salt, lock.iterations, lock.key_size)
    try:
        if lock.cipher == "aes256-cbc":
            decryptor = Cipher(AES(key), CBC(lock.vector)).decryptor()
        else:
            decryptor = Cipher(Blowfish(key), CFB(lock.vector)).decryptor()
        packed = decryptor.update(data) + decryptor.finalize()
    except ValueError:
        return None
    if lock.cipher == "aes256-cbc":  # W3C padding: the last byte counts the padding
        padding = packed[-1] if packed else 0
        if not 1 <= padding <= 16:
            return None
        packed = packed[:-padding]
    return packed


def _checks(packed: bytes, lock: _Lock) -> bool:
    return not lock.checksum or hashlib.new(lock.checksum_kind, packed[:_CHECKED]).digest() == lock.checksum
