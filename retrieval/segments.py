"""Segments on disk: immutable sets of named arrays, and the manifest that says which of them are in use.

    FOLDER/manifest.json            format, identity, mark of the catalog, and the segments in use with their checksums
    FOLDER/SEGMENT/ARRAY.npy        memory-mapped

Whatever is here is derived from the catalog and can be deleted. A segment is written under a temporary name, synced and
renamed, its folder synced; then the manifest is replaced in the same way. So a reader finds the old set or the new one,
whole. What is missing, damaged, of another format or made from another catalog is left out when the store is opened,
and said in `problems`; whoever opened it fills the gap from the catalog. Another catalog is also one that went another
way since: the manifest holds a mark of the catalog's (see `ingest.catalog.marks`) that was there when its segments were
made.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from ingest.catalog.marks import NO_MARK, Mark
from ingest.disk import sync_folder

FORMAT = 2

_LOOKS = 5  # at files that a writer replaces while they are looked at
_MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Segment:
    """Arrays by name, read-only and memory-mapped, with `facts` about them that the manifest holds (JSON).

    The facts `first` and `last` say which range of arrivals the segment covers, both ends included.
    """

    name: str
    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    checksums: dict[str, str] = field(repr=False)  # of each array's file, XXH3 of 128 bits in hex

    @property
    def first(self) -> int:
        return int(self.facts["first"])

    @property
    def last(self) -> int:
        return int(self.facts["last"])


class Marks(Protocol):
    """What a store asks of whoever reads the catalog."""

    @property
    def read(self) -> Mark:
        """One that the catalog had when all that is in memory was read, or a later one."""
        ...

    def known(self, mark: Mark) -> bool:
        """Whether the catalog has it."""
        ...


class SegmentStore:
    """The segments of one derived index. One process writes (the caller sees to that), any number read."""

    def __init__(self, folder: Path, identity: Mapping[str, str | int], marks: Marks | None = None) -> None:
        """`identity` names all that decides what the arrays hold, the catalog included; another one is foreign.

        `marks` tells which marks the catalog has, and which of them to write; None: what is there is believed, and
        keeps its mark.
        """
        self._folder = folder
        self._identity = dict(identity)
        self._marks = marks
        self._mark = NO_MARK  # of the manifest that was read or written last
        self.problems: list[str] = []
        self._known: str | None = None  # the checksum of the manifest that was read or written last

    def open(self) -> list[Segment]:
        """The sound segments in use, in the order of their `first`; all files are read once to check them.

        Where a writer put others in their place meanwhile, and took these away, it is those.
        """
        for _ in range(_LOOKS):
            segments = self._open()
            if not self.problems or self.is_current():
                break
        return segments

    def _open(self) -> list[Segment]:
        self.problems = []
        self._mark = NO_MARK
        self._known = None
        if not self._folder.exists():  # nothing was ever written, which is no problem
            return []
        try:
            manifest = self._manifest()
            self._known = _checksum_of(manifest)
        except _Unusable as unusable:
            self.problems.append(f"{self._folder.name}: {unusable}")
            return []
        segments = []
        for entry in manifest["segments"]:
            try:
                segments.append(self._opened(entry))
            except (_Unusable, OSError, ValueError) as error:
                self.problems.append(f"{self._folder.name}/{entry['name']}: {error}")
        self._mark = Mark(*manifest["mark"])
        return sorted(segments, key=lambda segment: segment.first)

    def write(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Segment:
        """Writes a segment, synced, which is in use from the next `commit` that names it."""
        name = f"{facts['first']:010}-{facts['last']:010}-{uuid.uuid4().hex[:8]}"
        part = self._folder / f".part-{name}"
        part.mkdir(parents=True)
        try:
            checksums = {key: _write_array(part / f"{key}.npy", array) for key, array in arrays.items()}
            sync_folder(part)
            os.rename(part, self._folder / name)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(self._folder)
        return Segment(name, dict(facts), self._mapped(name, checksums), checksums)

    def commit(self, segments: Sequence[Segment]) -> None:
        """Replaces the manifest: exactly `segments` are in use."""
        entries = [
            {"name": segment.name, "facts": segment.facts, "checksums": segment.checksums} for segment in segments
        ]
        mark = self._mark if self._marks is None else self._marks.read
        body = {"identity": self._identity, "mark": [mark.number, mark.token], "segments": entries}
        checksum = _checksum_of(body)
        text = json.dumps({"format": FORMAT, "checksum": checksum, **body}, indent=1)
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".part-{_MANIFEST}"
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, self._folder / _MANIFEST)
        sync_folder(self._folder)
        self._mark, self._known = mark, checksum
        _remove_all_but(self._folder, {segment.name for segment in segments})

    def is_current(self) -> bool:
        """Whether no other process has written since this store was opened or written."""
        try:
            return _checksum_of(self._manifest()) == self._known
        except _Unusable:
            return self._known is None

    def size_bytes(self) -> int:
        """What the folder takes on disk."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    def _manifest(self) -> dict[str, Any]:
        try:
            text = (self._folder / _MANIFEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise _Unusable("it has no manifest") from None
        except (OSError, UnicodeDecodeError) as error:
            raise _Unusable(f"its manifest can't be read ({error})") from error
        try:
            manifest: dict[str, Any] = json.loads(text)
            found, checksum = manifest.pop("format"), manifest.pop("checksum")
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise _Unusable("its manifest is damaged") from error
        if found != FORMAT:
            raise _Unusable(f"it has format {found}, and this version writes format {FORMAT}")
        if checksum != _checksum_of(manifest):
            raise _Unusable("its manifest is damaged")
        if manifest["identity"] != self._identity:
            raise _Unusable("it was made from another catalog or with other settings")
        if self._marks is not None and not self._marks.known(Mark(*manifest["mark"])):
            raise _Unusable("it was made from a catalog that went another way, such as before an older copy came back")
        return manifest

    def _opened(self, entry: dict[str, Any]) -> Segment:
        name, checksums = entry["name"], entry["checksums"]
        for key, checksum in checksums.items():
            path = self._folder / name / f"{key}.npy"
            if not path.is_file():
                raise _Unusable(f"{path.name} is missing")
            if _checksum_of_file(path) != checksum:
                raise _Unusable(f"{path.name} is damaged")
        return Segment(name, entry["facts"], self._mapped(name, checksums), checksums)

    def _mapped(self, name: str, keys: Mapping[str, str]) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for key in keys:
            path = self._folder / name / f"{key}.npy"
            try:
                arrays[key] = np.load(path, mmap_mode="r", allow_pickle=False)
            except ValueError:  # an empty array can't be mapped
                arrays[key] = np.load(path, allow_pickle=False)
        return arrays


def drop_segments(folder: Path, unwanted: Callable[[dict[str, NDArray[Any]]], bool]) -> None:
    """Takes the segments out of a store whose arrays are `unwanted`, as one that finds them missing when it opens it.

    For the one process that writes, and a store that it has not opened.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        store = SegmentStore(folder, manifest["identity"])
        segments = store.open()
    except (OSError, ValueError, KeyError, TypeError):
        return  # whoever opens it builds it anew
    wanted = [segment for segment in segments if not unwanted(segment.arrays)]
    if len(wanted) < len(manifest["segments"]):
        store.commit(wanted)


def remove_leftovers(folder: Path) -> None:
    """Takes away what a writer that was killed has left in the folder of a store. For the one process that writes.

    Nothing where the manifest can't be read: the next `commit` does it.
    """
    try:
        names = {str(entry["name"]) for entry in json.loads((folder / _MANIFEST).read_bytes())["segments"]}
    except FileNotFoundError:
        names = set()
    except (OSError, ValueError, KeyError, TypeError):
        return
    _remove_all_but(folder, names)


def _remove_all_but(folder: Path, names: set[str]) -> None:
    """Takes all other segments and unfinished files away. Readers that have them open keep them."""
    for path in folder.iterdir():
        if path.name not in names and path.name != _MANIFEST:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class _Unusable(Exception):
    """Why something in the folder is not used."""


def _write_array(path: Path, array: NDArray[Any]) -> str:
    array = np.ascontiguousarray(array)
    with path.open("wb") as file:
        # As np.save does, whose errors don't say why a write failed, such as that the disk is full.
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
        file.flush()
        os.fsync(file.fileno())
    return _checksum_of_file(path)


def _checksum_of_file(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _checksum_of(body: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(body, sort_keys=True).encode())
