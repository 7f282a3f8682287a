from __future__ import annotations

import pytest

from ragstone.errors import BadRequest
from ragstone.names import collection_name, document_uri


@pytest.mark.parametrize("name", ["default", "a", "My-docs_2", "x" * 64])
def test_plain_collection_names_are_taken(name: str) -> None:
    assert collection_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "../x", "é", "x" * 65, "a/b", "a\n"])
def test_other_collection_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        collection_name(name)
    assert refusal.value.field == "collection"


@pytest.mark.parametrize(
    "uri", ["a.md", "sub/ä 漢.md", "Screenshot 3.12\u202fPM.md", "全角\u3000空白.md", "https://x/y?z"]
)
def test_printable_uris_are_taken(uri: str) -> None:
    assert document_uri(uri) == uri


@pytest.mark.parametrize("uri", ["", "a\nb", "a\x1b[2J", "\ud800", "\u202egnp.exe", "x" * 2049])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        document_uri(uri)
    assert refusal.value.field == "uri"
