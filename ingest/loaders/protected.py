"""Office files under a password, by msoffcrypto-tool: OOXML in its encrypted wrapping, and the old binary formats."""

from __future__ import annotations

import io
from typing import Any

import msoffcrypto
from msoffcrypto.exceptions import DecryptionError, InvalidKeyError
from msoffcrypto.format.ooxml import OOXMLFile

from ingest.errors import CorruptDocument, EncryptedDocument, UnsupportedFormat
from ingest.loaders.compound import SIGNATURE, stream_names
from ingest.loaders.reading import Reading

_WRAPPED = "EncryptedPackage"
_OLD_FORMATS = ("WordDocument", "Workbook", "PowerPoint Document")
_EXCELS_OWN = "VelvetSweatshop"


def unlocked(data: bytes, name: str, reading: Reading) -> bytes:
    """`data`, decrypted where it is an Office file under a password.

    Raises EncryptedDocument where `reading.password` is missing or wrong, UnsupportedFormat for an encryption that is
    not known, CorruptDocument where the file is damaged.
    """
    if not data.startswith(SIGNATURE):
        return data
    streams = stream_names(data, name)
    wrapped = _WRAPPED in streams
    if not wrapped and not streams.intersection(_OLD_FORMATS):
        return data
    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(data))
        if not file.is_encrypted():
            return data
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        if not wrapped:
            return data  # its loader says what is wrong with it
        raise _damaged(name) from error
    if reading.password is not None:
        return _decrypted(file, name, reading.password)
    try:  # what Excel itself tries first: a workbook that is only to be protected from changes opens so
        return _decrypted(file, name, _EXCELS_OWN)
    except EncryptedDocument as error:
        raise EncryptedDocument(f"{name}: is protected by a password. Upload it with the password.") from error


def _decrypted(file: Any, name: str, password: str) -> bytes:
    plain = io.BytesIO()
    try:
        if isinstance(file, OOXMLFile):
            file.load_key(password=password, verify_password=True)
        else:
            file.load_key(password=password)
        file.decrypt(plain)
    except InvalidKeyError as error:
        raise EncryptedDocument(f"{name}: the password is not the right one. Upload it with the right one.") from error
    except DecryptionError as error:
        raise UnsupportedFormat(
            f"{name}: is encrypted in a way that is not known ({error}). Remove the password and upload it again."
        ) from error
    except Exception as error:  # damaged encryption headers surface as struct, index and value errors
        if isinstance(error, MemoryError):
            raise
        raise _damaged(name) from error
    return plain.getvalue()


def _damaged(name: str) -> CorruptDocument:
    return CorruptDocument(f"{name}: is encrypted, and damaged or cut off. Save it again, then upload it.")
