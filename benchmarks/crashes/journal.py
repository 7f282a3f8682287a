"""From the changes that a process made to a folder, the folder as a power cut may have left it.

A disk holds what was synced. What was written since may be there or not, sector by sector, and so may names that were
made, changed or taken away in a folder which was not synced since. A rename within a folder happens as a whole or not
at all; a name in another folder never goes before it has arrived there.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from random import Random

SECTOR = 512
_RECORD = struct.Struct("=IIIIQqQ")


class Kind(IntEnum):
    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    RENAME = 6
    UNLINK = 7
    MKDIR = 8
    RMDIR = 9
    LINK = 10
    MARK = 11
    SYNC_FAILED = 12


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    inode: int
    offset: int
    first: str
    second: str
    data: bytes


def read(journal: bytes) -> Iterator[Change]:
    """The changes in their order; a last one that is cut off is left out."""
    place = 0
    while place + _RECORD.size <= len(journal):
        kind, first_length, second_length, _, inode, offset, length = _RECORD.unpack_from(journal, place)
        place += _RECORD.size
        first = os.fsdecode(journal[place : place + first_length])
        place += first_length
        second = os.fsdecode(journal[place : place + second_length])
        place += second_length
        data = journal[place : place + length]
        place += length
        if place > len(journal):
            return
        yield Change(Kind(kind), inode, offset, first, second, data)


@dataclass(slots=True)
class _File:
    """What is on the disk for sure, and the writes and truncations that may have got there since."""

    safe: bytearray
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut to this length

    def whole(self) -> bytearray:
        return _applied(self.safe, self.since)


@dataclass(slots=True)
class _Entry:
    """A change of names. It is safe once the folder in which the name arrives was synced."""

    change: Change
    inode: int | None  # of what had the first name; None for a folder
    is_safe: bool = False


class Disk:
    """The folder `root` as it is on the disk after each change. It begins with all of it synced."""

    def __init__(self, root: Path) -> None:
        self._files: dict[int, _File] = {}
        self._safe: dict[str, int | None] = {}  # inode by path; None for folders
        self._now: dict[str, int | None] = {}
        self._entries: list[_Entry] = []
        self._root = str(root)
        for path in sorted(root.rglob("*")):
            if path.name.endswith("-shm"):
                continue
            if path.is_dir():
                self._safe[str(path)] = None
            else:
                inode = path.stat().st_ino
                self._files[inode] = _File(bytearray(path.read_bytes()))
                self._safe[str(path)] = inode
        self._now = dict(self._safe)

    def apply(self, change: Change) -> None:
        match change.kind:
            case Kind.WRITE:
                self._files[change.inode].since.append((change.offset, change.data))
            case Kind.TRUNCATE:
                self._files[change.inode].since.append((change.offset, None))
            case Kind.SYNC:
                file = self._files[change.inode]
                file.safe, file.since = file.whole(), []
            case Kind.SYNC_FAILED:
                # The system takes what it could not write for written: no later sync brings it to the disk.
                if change.inode in self._files:
                    self._files[change.inode].since = []
            case Kind.SYNC_FOLDER:
                self._sync_folder(change.first)
            case Kind.MARK:
                pass
            case _:
                if change.kind is Kind.CREATE:
                    self._files[change.inode] = _File(bytearray())
                entry = _Entry(change, self._now.get(change.first, change.inode))
                _rename(self._now, entry)
                self._entries.append(entry)

    def all(self) -> dict[str, bytes | None]:
        """Content by path (None for folders) as the process itself sees it, to compare with the real folder."""
        return {path: None if n is None else bytes(self._files[n].whole()) for path, n in self._now.items()}

    def cut(self, random: Random) -> dict[str, bytes | None]:
        """One folder that the disk may hold if the power goes now."""
        names = dict(self._safe)
        chosen = _chosen(self._entries, random)
        for number, entry in enumerate(self._entries):
            if entry.is_safe or number in chosen:
                _rename(names, entry)
        how = random.choice(("none", "all", "some", "some", "first"))
        found: dict[str, bytes | None] = {}
        for path, inode in names.items():
            folders = [str(folder) for folder in Path(path).relative_to(self._root).parents][:-1]
            if any(names.get(f"{self._root}/{folder}", 0) is not None for folder in folders):
                continue  # a folder that it is in is not there
            found[path] = None if inode is None else bytes(_torn(self._files[inode], how, random))
        return found

    def _sync_folder(self, folder: str) -> None:
        for entry in self._entries:
            if os.path.dirname(entry.change.second or entry.change.first) == folder:
                entry.is_safe = True
        while self._entries and self._entries[0].is_safe:
            _rename(self._safe, self._entries.pop(0))


def _rename(names: dict[str, int | None], entry: _Entry) -> None:
    """Applies a change of names."""
    first, second = entry.change.first, entry.change.second
    match entry.change.kind:
        case Kind.CREATE:
            names[first] = entry.change.inode
        case Kind.MKDIR:
            names[first] = None
        case Kind.UNLINK | Kind.RMDIR:
            names.pop(first, None)
        case Kind.LINK:
            names[second] = entry.inode
        case Kind.RENAME:
            names.pop(first, None)
            names[second] = entry.inode
            for path in [path for path in names if path.startswith(f"{first}/")]:
                names[second + path[len(first) :]] = names.pop(path)


def _chosen(entries: Sequence[_Entry], random: Random) -> set[int]:
    """Which changes of names got to the disk, by their places: none, all, the first few, or any."""
    how = random.choice(("none", "all", "first", "any"))
    if how == "any":
        return {number for number in range(len(entries)) if random.random() < 0.5}
    return set(range({"none": 0, "all": len(entries), "first": random.randint(0, len(entries))}[how]))


def _applied(safe: bytearray, since: Sequence[tuple[int, bytes | None]]) -> bytearray:
    content = bytearray(safe)
    for offset, data in since:
        _write(content, offset, data)
    return content


def _write(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _torn(file: _File, how: str, random: Random) -> bytearray:
    if how == "none":
        return bytearray(file.safe)
    if how == "all":
        return file.whole()
    content = bytearray(file.safe)
    pieces = [piece for write in file.since for piece in _sectors(*write)]
    if how == "first":
        pieces = pieces[: random.randint(0, len(pieces))]
    share = 1.0 if how == "first" else random.random()
    for offset, data in pieces:
        if random.random() < share:
            _write(content, offset, data)
    return content


def _sectors(offset: int, data: bytes | None) -> Iterator[tuple[int, bytes | None]]:
    """A write as the pieces that a disk writes as a whole."""
    if data is None:
        yield offset, None
        return
    end = offset + len(data)
    while offset < end:
        piece = min(end, (offset // SECTOR + 1) * SECTOR)
        yield offset, data[len(data) - (end - offset) : len(data) - (end - piece)]
        offset = piece


def build(folder: Path, root: Path, content: dict[str, bytes | None]) -> None:
    """Writes what stood below `root` into the new folder `folder`."""
    folder.mkdir()
    for path in sorted(content):
        target = folder / os.path.relpath(path, root)
        held = content[path]
        if held is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(held)
