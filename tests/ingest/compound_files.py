"""OLE compound files ([MS-CFB]) made on the spot, as old Office programs and Outlook write them."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Union

Tree = dict[str, Union[bytes, "Tree"]]

_SECTOR, _MINI_SECTOR, _CUTOFF = 512, 64, 4096
_END, _FREE, _FAT_SECTOR = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_ROOT, _STORAGE, _STREAM = 5, 1, 2


def compound_file(tree: Tree) -> bytes:
    """A file with the streams (bytes) and storages (trees) of `tree`."""
    names: list[tuple[str, int, bytes]] = [("Root Entry", _ROOT, b"")]
    children: dict[int, list[int]] = {}

    def add(parent: int, branch: Tree) -> None:
        children[parent] = []
        for name, content in branch.items():
            number = len(names)
            children[parent].append(number)
            is_stream = isinstance(content, bytes)
            names.append((name, _STREAM if is_stream else _STORAGE, content if isinstance(content, bytes) else b""))
            if not isinstance(content, bytes):
                add(number, content)

    add(0, tree)
    sectors: list[bytes] = []
    fat: list[int] = []
    mini, mini_fat = b"", list[int]()

    def place(content: bytes) -> int:
        """The content in sectors of its own, one after the other; the number of the first."""
        start = len(sectors)
        count = max(1, -(-len(content) // _SECTOR))
        padded = content.ljust(count * _SECTOR, b"\0")
        sectors.extend(padded[at : at + _SECTOR] for at in range(0, len(padded), _SECTOR))
        fat.extend([*range(start + 1, start + count), _END])
        return start

    starts: dict[int, int] = {}
    for number, (_, kind, content) in enumerate(names):
        if kind != _STREAM or not content:
            starts[number] = _END
        elif len(content) >= _CUTOFF:
            starts[number] = place(content)
        else:
            first, count = len(mini_fat), -(-len(content) // _MINI_SECTOR)
            starts[number] = first
            mini += content.ljust(count * _MINI_SECTOR, b"\0")
            mini_fat.extend([*range(first + 1, first + count), _END])
    starts[0] = place(mini) if mini else _END
    mini_fat_start = place(struct.pack(f"<{len(mini_fat)}I", *mini_fat)) if mini_fat else _END
    siblings = {one: other for group in children.values() for one, other in pairwise(group)}
    directory = b""
    for number, (name, kind, content) in enumerate(names):
        encoded = name.encode("utf-16-le") + b"\0\0"
        child = children.get(number) or [_FREE]
        size = len(mini) if kind == _ROOT else len(content)
        directory += encoded.ljust(64, b"\0") + struct.pack(
            "<HBBIII16sIQQIQ",
            *(len(encoded), kind, 1, _FREE, siblings.get(number, _FREE), child[0], b"", 0, 0, 0, starts[number], size),
        )
    directory_start = place(directory)
    fat_sectors = -(-(len(fat) + 1) // (_SECTOR // 4 - 1))
    fat_start = len(sectors)
    fat += [_FAT_SECTOR] * fat_sectors
    fat += [_FREE] * (fat_sectors * _SECTOR // 4 - len(fat))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        *(bytes.fromhex("d0cf11e0a1b11ae1"), b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, fat_sectors, directory_start, 0),
        *(_CUTOFF, mini_fat_start, 1 if mini_fat else 0, _END, 0),
    )
    header += struct.pack("<109I", *range(fat_start, fat_start + fat_sectors), *[_FREE] * (109 - fat_sectors))
    return header + b"".join(sectors) + struct.pack(f"<{len(fat)}I", *fat)
