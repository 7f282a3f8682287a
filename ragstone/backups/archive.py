"""The file of a backup: a gzipped tar of plain files, the first of which lists all others.

    manifest.json            format, origin, counts, and size and SHA-256 of every other member, in their order
    catalog.sqlite           the catalog, whatever database it came from
    originals/ab/abcdef…     the files that were uploaded, named by their SHA-256

Any tar program can unpack it. What reads it here trusts nothing: a member that the manifest does not list, or lists at
another place or in another size, ends the reading, as does every kind of member but a plain file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any

from ragstone.errors import ShellError

FORMAT = 1
MANIFEST = "manifest.json"
CATALOG = "catalog.sqlite"
# Of zlib. Half of a backup are vectors, which hardly shrink: higher levels cost time and give little.
LEVEL = 1

_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20
_LARGEST_MANIFEST = 1 << 29
_NAME = re.compile(r"catalog\.sqlite|originals/(?P<folder>[0-9a-f]{2})/(?P<hash>[0-9a-f]{64})")
_KINDS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "made_by": str,
    "created_at": str,
    "catalog_id": str,
    "schema": int,
    "revision": int,
    "counts": dict,
    "absent": list,
    "members": dict,
}

_Packed = IO[bytes] | gzip.GzipFile

# Called with how many bytes were done since the last call.
Report = Callable[[int], object]


class BadBackup(ShellError):
    """The file is no backup, or not one that this version can restore: name another."""

    code = "bad-backup"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `revision` is the head that it shows, `members` are size and SHA-256 by name, in order.

    `absent` are the originals that were missing or damaged when the backup was taken.
    """

    made_by: str
    created_at: str
    catalog_id: str
    schema: int
    revision: int
    counts: Mapping[str, int]
    absent: tuple[str, ...]
    members: Mapping[str, tuple[int, str]]

    @property
    def size_bytes(self) -> int:
        """Of all members together, unpacked."""
        return sum(size for size, _ in self.members.values())


def name_of_original(content_hash: str) -> str:
    return f"originals/{content_hash[:2]}/{content_hash}"


def write(file: IO[bytes], manifest: Manifest, pieces: Callable[[str], Iterator[bytes]], report: Report) -> None:
    """Writes a backup into `file`. `pieces` gives the bytes of a member, and must give what the manifest says."""
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=LEVEL, mtime=0) as packed:
        body = _encoded(manifest)
        _write_member(packed, MANIFEST, len(body), iter([body]))
        for name, (size, sha256) in manifest.members.items():
            found = _write_member(packed, name, size, pieces(name), report)
            if found != sha256:
                raise BadBackup(f"{name} changed while it was copied: take the backup again")
        packed.write(bytes(2 * _BLOCK))


def read_manifest(file: IO[bytes]) -> Manifest:
    """Raises BadBackup."""
    with _reasons(), gzip.GzipFile(fileobj=file, mode="rb") as packed:
        return _read_manifest(packed)


def unpack(file: IO[bytes], manifest: Manifest, target: Callable[[str], IO[bytes]], report: Report) -> None:
    """Writes each member into the file that `target` opens for it. Raises BadBackup at the first that is not right.

    `manifest` must be the one that `read_manifest` gave. Nothing beyond the sizes that it lists is written.
    """
    with _reasons(), gzip.GzipFile(fileobj=file, mode="rb") as packed:
        if _read_manifest(packed) != manifest:
            raise BadBackup("the backup was replaced while it was read: try again")
        for name, (size, sha256) in manifest.members.items():
            if (found := _header(packed)) != (name, size):
                raise BadBackup(f"it holds {found[0]!r} of {found[1]} bytes where its list has {name} of {size}")
            digest = hashlib.sha256()
            with target(name) as unpacked:
                for piece in _pieces(packed, size):
                    digest.update(piece)
                    unpacked.write(piece)
                    report(len(piece))
            if digest.hexdigest() != sha256:
                raise BadBackup(f"its member {name} is damaged")
        # To the end, so that the checksum of the compression is looked at as well.
        if packed.read(2 * _BLOCK) != bytes(2 * _BLOCK) or packed.read(1):
            raise BadBackup("there is something behind its last member")


@contextmanager
def _reasons() -> Iterator[None]:
    """Turns what a bad file does to the libraries into BadBackup."""
    try:
        yield
    except EOFError as error:
        raise BadBackup("the backup is cut off: its end is missing") from error
    except (gzip.BadGzipFile, zlib.error, tarfile.HeaderError) as error:
        raise BadBackup(f"the file is no backup, or a damaged one ({error})") from error


def _encoded(manifest: Manifest) -> bytes:
    values = {"format": FORMAT, **asdict(manifest)}
    return json.dumps({**values, "checksum": _checksum(values)}, indent=1).encode()


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_manifest(packed: _Packed) -> Manifest:
    name, size = _header(packed)
    if name != MANIFEST or size > _LARGEST_MANIFEST:
        raise BadBackup("the file is no backup of Ragstone: it does not begin with a manifest")
    try:
        values = json.loads(b"".join(_pieces(packed, size)))
        checksum = values.pop("checksum")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise BadBackup("the manifest of the backup is damaged") from error
    if values.get("format") != FORMAT:
        raise BadBackup(
            f"the backup has format {values.get('format')} and this version of Ragstone reads format {FORMAT}"
        )
    if checksum != _checksum(values):
        raise BadBackup("the manifest of the backup is damaged")
    return _checked(values)


def _checked(values: dict[str, Any]) -> Manifest:
    """The manifest, with the types it must have and names that can't lead anywhere else."""
    if values.keys() != _KINDS.keys() or any(not isinstance(values[key], kind) for key, kind in _KINDS.items()):
        raise BadBackup("the manifest of the backup is not of the form it should have")
    members: dict[str, tuple[int, str]] = {}
    for name, entry in values["members"].items():
        match = _NAME.fullmatch(name)
        sound = isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and isinstance(entry[1], str)
        if match is None or not sound or entry[0] < 0:
            raise BadBackup(f"the backup lists {name!r}, which does not belong into one")
        if match["hash"] is not None and (not match["hash"].startswith(match["folder"]) or match["hash"] != entry[1]):
            raise BadBackup(f"the backup lists {name!r}, which is not the name of its content")
        members[name] = (entry[0], entry[1])
    if CATALOG not in members:
        raise BadBackup("the backup holds no catalog")
    del values["format"]
    return Manifest(**{**values, "absent": tuple(values["absent"]), "members": members})


def _header(packed: _Packed) -> tuple[str, int]:
    """Name and size of the next member, which must be a plain file without extensions of the format."""
    block = packed.read(_BLOCK)
    if len(block) < _BLOCK:
        raise EOFError
    info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise BadBackup(f"its member {info.name!r} is no plain file")
    return info.name, info.size


def _write_member(
    packed: _Packed, name: str, size: int, pieces: Iterator[bytes], report: Report = lambda count: None
) -> str:
    """Returns the SHA-256 of what was written. Raises BadBackup when it is not `size` bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    packed.write(info.tobuf(tarfile.GNU_FORMAT))
    digest, written = hashlib.sha256(), 0
    for piece in pieces:
        packed.write(piece)
        digest.update(piece)
        written += len(piece)
        report(len(piece))
    if written != size:
        raise BadBackup(f"{name} changed while it was copied: take the backup again")
    packed.write(bytes(-size % _BLOCK))
    return digest.hexdigest()


def _pieces(packed: _Packed, size: int) -> Iterator[bytes]:
    """The bytes of a member; what pads it to whole blocks is read as well."""
    left = size
    while left:
        piece = packed.read(min(left, _PIECE))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece
    padding = -size % _BLOCK
    if len(packed.read(padding)) < padding:
        raise EOFError
