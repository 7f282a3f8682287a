from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import types
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from ingest.background import background
from ingest.types import Vectors
from retrieval.embedder import OnnxEmbedder, SentenceTransformersEmbedder
from retrieval.errors import MissingExtra, ModelUnavailable
from retrieval.hash_embedder import HashEmbedder

REFERENCE = Path(__file__).parent / "minilm_reference"


@pytest.fixture(scope="module")
def passages() -> list[str]:
    lines = (REFERENCE / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="module")
def embedder(embedder_folder: Path) -> OnnxEmbedder:
    return OnnxEmbedder(embedder_folder, model="minilm", max_tokens=256, threads=2)


@pytest.fixture(scope="module")
def vectors(embedder: OnnxEmbedder, passages: list[str]) -> Vectors:
    return embedder.embed_documents(passages)


@pytest.mark.models
def test_vectors_equal_those_of_sentence_transformers(vectors: Vectors) -> None:
    reference = np.load(REFERENCE / "vectors.npy").astype(np.float32)
    assert vectors.shape == reference.shape == (200, 384)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(reference, axis=1)
    cosines = (vectors * reference).sum(axis=1) / lengths
    assert cosines.min() >= 0.99999
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(200))


@pytest.mark.models
def test_vector_does_not_depend_on_batch_order_or_threads(
    embedder: OnnxEmbedder, embedder_folder: Path, passages: list[str], vectors: Vectors
) -> None:
    some = list(range(0, 200, 8))
    alone = [embedder.embed_documents([passages[row]])[0] for row in some]
    backwards = embedder.embed_documents([passages[row] for row in reversed(some)])[::-1]
    single = OnnxEmbedder(embedder_folder, model="minilm", max_tokens=256, threads=1)
    on_one_thread = single.embed_documents([passages[row] for row in some])
    for other in (alone, backwards, on_one_thread):
        np.testing.assert_array_equal(other, vectors[some])


@pytest.mark.models
def test_concurrent_callers_get_the_vectors_of_one(
    embedder: OnnxEmbedder, passages: list[str], vectors: Vectors
) -> None:
    some = list(range(0, 200, 10))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(embedder.embed_query, [passages[row] for row in some]))
    np.testing.assert_array_equal(found, vectors[some])


@pytest.mark.models
def test_prefixes_are_put_before_texts_and_name_the_space(embedder: OnnxEmbedder, embedder_folder: Path) -> None:
    prefixed = OnnxEmbedder(
        embedder_folder, model="minilm", max_tokens=256, threads=1, query_prefix="query: ", document_prefix="passage: "
    )
    np.testing.assert_array_equal(prefixed.embed_query("routers"), embedder.embed_query("query: routers"))
    np.testing.assert_array_equal(prefixed.embed_documents(["routers"]), embedder.embed_documents(["passage: routers"]))
    assert (prefixed.space.query_prefix, prefixed.space.document_prefix) == ("query: ", "passage: ")
    assert prefixed.space.space_id != embedder.space.space_id


@pytest.mark.models
def test_space_is_named_by_the_hash_of_the_files(embedder: OnnxEmbedder, embedder_folder: Path) -> None:
    files = (embedder_folder / name for name in ("model.onnx", "model.safetensors", "tokenizer.json"))
    assert embedder.space.fingerprint == hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert (embedder.space.model, embedder.space.dimension, embedder.space.normalised) == ("minilm", 384, True)


@pytest.mark.models
def test_tokens_are_counted_uncut_and_without_special_ones(embedder: OnnxEmbedder) -> None:
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("hello world") == 2
    assert embedder.count_tokens("hello world " * 500) == 1000


@pytest.mark.models
def test_input_is_cut_at_max_tokens(embedder: OnnxEmbedder) -> None:
    longest = "word " * (embedder.max_tokens - 2)  # and two special tokens
    np.testing.assert_array_equal(embedder.embed_query(longest + "more"), embedder.embed_query(longest))
    assert not np.array_equal(embedder.embed_query(longest[: -len("word ")] + "more"), embedder.embed_query(longest))


@pytest.mark.models
def test_odd_texts_get_vectors_too(embedder: OnnxEmbedder) -> None:
    assert embedder.embed_documents([]).shape == (0, 384)
    odd = embedder.embed_documents(["", " ", "\ud800 lone surrogate", "\x00", "x" * 100_000])
    assert np.linalg.norm(odd, axis=1) == pytest.approx(np.ones(5))


@pytest.mark.models
def test_max_tokens_over_what_the_model_takes_is_refused_at_once(embedder_folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"600 tokens.*retrieval\.embedder\.max_tokens"):
        OnnxEmbedder(embedder_folder, model="minilm", max_tokens=600, threads=1)


def write_tokenizer(folder: Path) -> None:
    Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_missing_file_is_named_with_the_command_that_gets_it(tmp_path: Path, missing: str) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / missing).unlink()
    with pytest.raises(ModelUnavailable, match=rf"{missing}.*ragstone models fetch"):
        OnnxEmbedder(tmp_path, model="minilm", max_tokens=256, threads=1)


def test_damaged_model_is_named(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"half a download")
    with pytest.raises(ModelUnavailable, match=r"model\.onnx is damaged.*ragstone models fetch"):
        OnnxEmbedder(tmp_path, model="minilm", max_tokens=256, threads=1)


def test_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "trunc')
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json is damaged.*ragstone models fetch"):
        OnnxEmbedder(tmp_path, model="minilm", max_tokens=256, threads=1)


def test_missing_sentence_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ragstone\[sentence-transformers\]'"):
        SentenceTransformersEmbedder("some/model", None)


class FakeTensor:
    """As much of a torch tensor as the fingerprint reads."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = np.array(values, dtype=np.float32)
        self.shape, self.dtype = self._values.shape, self._values.dtype

    def numpy(self) -> Vectors:
        return self._values

    def detach(self) -> FakeTensor:
        return self

    cpu = float = contiguous = detach


class FakeSentenceTransformer:
    """The package is too big for the tests' environment: its calls, and vectors that show the prompt that was used."""

    stored: ClassVar[dict[str, str]] = {"query": "", "document": ""}
    weights: ClassVar[Sequence[float]] = (1.0, 2.0)

    def __init__(self, model: str, *, device: str | None = None) -> None:
        if model == "no/such":
            raise OSError("no/such is not a folder and not on the hub")
        self.prompts = dict(self.stored)
        self.max_seq_length: float | None = 128
        self.tokenizer = types.SimpleNamespace(
            encode=lambda text, add_special_tokens: text.split(), get_vocab=lambda: {"a": 0, "b": 1}
        )

    def state_dict(self) -> dict[str, FakeTensor]:
        return {"layer.weight": FakeTensor(self.weights)}

    def _encode(self, texts: str | list[str], prompt: str, normalize_embeddings: bool, show_progress_bar: bool) -> Any:
        assert normalize_embeddings and not show_progress_bar
        if isinstance(texts, str):
            return HashEmbedder(8).embed_query(prompt + texts)
        return HashEmbedder(8).embed_documents([prompt + text for text in texts])

    encode_query = encode_document = _encode


@pytest.fixture
def sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> type[FakeSentenceTransformer]:
    class Package(FakeSentenceTransformer):
        pass

    module = types.ModuleType("sentence_transformers")
    module.SentenceTransformer = Package  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return Package


def test_sentence_transformers_uses_the_prefixes_of_the_settings(
    sentence_transformers: type[FakeSentenceTransformer],
) -> None:
    sentence_transformers.stored = {"query": "stored: "}
    embedder = SentenceTransformersEmbedder("some/model", "cpu", query_prefix="ask: ", document_prefix="read: ")
    np.testing.assert_array_equal(embedder.embed_query("x"), HashEmbedder(8).embed_query("ask: x"))
    np.testing.assert_array_equal(embedder.embed_documents(["x", "y"])[1], HashEmbedder(8).embed_query("read: y"))
    assert (embedder.space.query_prefix, embedder.space.document_prefix) == ("ask: ", "read: ")


def test_sentence_transformers_uses_stored_prompts_and_names_them_in_the_space(
    sentence_transformers: type[FakeSentenceTransformer],
) -> None:
    sentence_transformers.stored = {"query": "search_query: ", "document": "", "passage": "search_document: "}
    embedder = SentenceTransformersEmbedder("some/model", "cpu")
    np.testing.assert_array_equal(embedder.embed_query("x"), HashEmbedder(8).embed_query("search_query: x"))
    assert embedder.space.query_prefix == "search_query: "
    assert embedder.space.document_prefix == "search_document: "


def test_sentence_transformers_embedder_tells_its_space_and_limits(
    sentence_transformers: type[FakeSentenceTransformer],
) -> None:
    embedder = SentenceTransformersEmbedder("some/model", "cpu")
    assert (embedder.space.model, embedder.space.dimension, embedder.max_tokens) == ("some/model", 8, 128)
    assert embedder.count_tokens("three small words") == 3
    assert embedder.embed_documents([]).shape == (0, 8)
    sentence_transformers.weights = (1.0, 2.5)
    assert SentenceTransformersEmbedder("some/model", "cpu").space.fingerprint != embedder.space.fingerprint


@pytest.mark.usefixtures("sentence_transformers")
def test_sentence_transformers_model_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="'no/such'"):
        SentenceTransformersEmbedder("no/such", None)


def test_hash_embedder_puts_texts_that_share_words_near() -> None:
    embedder = HashEmbedder()
    question = embedder.embed_query("Where is the garden gate?")
    near, far = embedder.embed_documents(["the gate of the garden", "prices rose in autumn"])
    assert near @ question > 0.5 > far @ question


def test_hash_embedder_gives_vectors_of_length_one_without_words_too() -> None:
    texts = ["", "?!", "one", "many words more " * 50, "\ud800 lone surrogate"]
    vectors = HashEmbedder(16).embed_documents(texts)
    assert vectors.shape == (5, 16)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5))


def test_hash_embedder_is_the_same_in_every_process() -> None:
    expected = np.zeros(64)
    expected[[14, 56]] = np.array([-1, -2]) / np.sqrt(5)  # gate, and garden twice
    assert HashEmbedder(64).embed_query("garden gate garden") == pytest.approx(expected)


def test_hash_embedder_counts_words() -> None:
    assert HashEmbedder().count_tokens("three small words") == 3


@pytest.mark.models
def test_what_is_ingested_is_embedded_at_a_lower_priority(
    embedder: OnnxEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    run = embedder._run

    def watched(token_ids: list[int]) -> Vectors:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return run(token_ids)

    monkeypatch.setattr(embedder, "_run", watched)
    answering = [embedder.embed_documents(["a pump"]), embedder.embed_documents(["a pump", "a valve"])]
    embedder.embed_query("a pump")
    with background():
        ingesting = embedder.embed_documents(["a pump", "a valve"])
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert seen[:4] == [own] * 4
    assert seen[4:] == [min(19, own + 10)] * 2
    assert (ingesting == answering[1]).all()
