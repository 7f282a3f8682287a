"""Text to vectors: an ONNX sentence embedder, and any sentence-transformers model.

Both are safe to share between threads. Chunks are identified by their content, so the same text must have the same
vector whenever and in whatever batch it came; each class says how far it holds that.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from ingest.background import give_way, in_background
from ingest.types import Space, Vectors
from retrieval.errors import MissingExtra, ModelUnavailable

# The first try of a model uses an input as long as `max_tokens`, but not longer than this: attention is quadratic, and
# BERT-like models, whose positions end at 512, are found out by it.
_TRIED_TOKENS = 1024
# A sentence-transformers model without positions names no limit; no chunk is longer (`ingest.chunk_tokens`).
_NO_LIMIT = 8192


class OnnxEmbedder:
    """A sentence embedder as `model.onnx` beside its `tokenizer.json`: mean pooling, then L2 normalisation.

    Pooling is that of Reimers and Gurevych, "Sentence-BERT" (2019), section 3, which all-MiniLM-L6-v2 was trained with.
    The model must return token vectors, of shape (batch, tokens, dimension), as its first output.

    Every text is a run of its own, without padding, on one thread; `threads` texts (0: one per core) run at a time, and
    those of `ingest.background` at a lower priority. So a vector can depend neither on the batch nor on the number of
    threads, whatever the model: one that is quantised dynamically computes the scale of its activations over the whole
    batch, padding included. It is also the fastest way measured on CPUs (`benchmarks/embedder.py`), as nothing is spent
    on padding.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        max_tokens: int,
        threads: int,
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> None:
        """Loads the model and tries it once.

        Raises `ModelUnavailable` when a file is missing, damaged or does not fit.
        """
        model_file, tokenizer_file = folder / "model.onnx", folder / "tokenizer.json"
        for file in (model_file, tokenizer_file):
            if not file.is_file():
                raise ModelUnavailable(f"the embedder's file {file} is missing; get it with `ragstone models fetch`")
        self._max_tokens = max_tokens
        # The file may come with cutting and padding switched on. Two tokenizers, each set once: their state is not ours
        # to change while other threads use it.
        self._uncut_tokenizer = _load_tokenizer(tokenizer_file)
        self._tokenizer = _load_tokenizer(tokenizer_file)
        self._tokenizer.enable_truncation(max_tokens)
        self._session = _load_session(model_file)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        self._workers = ThreadPoolExecutor(threads or _cores(), "embedder")
        self._background = ThreadPoolExecutor(threads or _cores(), "embedder-background", initializer=give_way)
        self._query_prefix, self._document_prefix = query_prefix, document_prefix
        self._space = Space(
            model=model,
            fingerprint=_sha256((model_file, *_weights_beside(model_file), tokenizer_file)),
            dimension=self._try(model_file),
            query_prefix=query_prefix,
            document_prefix=document_prefix,
            max_tokens=max_tokens,
        )

    @property
    def space(self) -> Space:
        return self._space

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special tokens, uncut."""
        return len(self._uncut_tokenizer.encode(_encodable(text), add_special_tokens=False).ids)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (len(texts), dimension), rows of length 1, in the order of `texts`."""
        vectors = np.empty((len(texts), self._space.dimension), dtype=np.float32)
        prefixed = [self._document_prefix + text for text in texts]
        if in_background():
            embedded = self._background.map(self._embed, prefixed)
        elif len(prefixed) > 1:
            embedded = self._workers.map(self._embed, prefixed)
        else:  # not worth a change of thread
            embedded = map(self._embed, prefixed)
        for row, vector in enumerate(embedded):
            vectors[row] = vector
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """float32 of shape (dimension,), of length 1."""
        return self._embed(self._query_prefix + text)

    def _embed(self, text: str) -> Vectors:
        return self._run(self._tokenizer.encode(_encodable(text)).ids)

    def _run(self, token_ids: list[int]) -> Vectors:
        ids = np.array([token_ids], dtype=np.int64)
        available = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        feed = {name: values for name, values in available.items() if name in self._inputs}
        token_vectors = self._session.run(None, feed)[0]
        # One unpadded text: the mean over its attention mask is the mean over all its tokens.
        pooled = np.asarray(token_vectors[0], dtype=np.float32).mean(axis=0)
        normalised: Vectors = pooled / max(float(np.linalg.norm(pooled)), 1e-12)
        return normalised.astype(np.float32, copy=False)

    def _try(self, model_file: Path) -> int:
        """The dimension, learnt from one run that also shows that the model takes inputs of `max_tokens`."""
        tokens = min(self._max_tokens, _TRIED_TOKENS)
        try:
            vector = self._run([0] * tokens)
        except Exception as error:  # onnxruntime's errors share no other base class
            raise ModelUnavailable(
                f"{model_file} can't embed an input of {tokens} tokens: lower `retrieval.embedder.max_tokens` to what "
                f"the model takes, or choose another model ({error})"
            ) from error
        if vector.ndim != 1:
            raise ModelUnavailable(
                f"{model_file} does not return token vectors of shape (batch, tokens, dimension) as its first output; "
                "export the model without pooling"
            )
        return int(vector.shape[0])


class SentenceTransformersEmbedder:
    """Any sentence-transformers model, by hub name or folder, on `device` (None: a GPU when there is one).

    An empty prefix means the prompt stored with the model for queries or documents, if it has one; the space names the
    prefix in effect. Vectors are normalised. Runs are serialised, as Hugging Face tokenizers change state while in use.

    One text at a time would waste a GPU, so texts go in batches, and the last bits of a vector (about 1e-7 in float32)
    can depend on its batch; a chunk is embedded once and its vector stored, so answers don't move.
    """

    def __init__(self, model: str, device: str | None, query_prefix: str = "", document_prefix: str = "") -> None:
        """Raises `MissingExtra` without the package, `ModelUnavailable` when the model can't be loaded."""
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"the embedder {model!r} needs sentence-transformers: pip install 'ragstone[sentence-transformers]'"
            ) from error
        try:
            self._model: Any = SentenceTransformer(model, device=device)
        except (OSError, ValueError) as error:
            raise ModelUnavailable(
                f"the sentence-transformers model {model!r} can't be loaded from that folder or from the hub: {error}"
            ) from error
        self._lock = threading.Lock()
        self._query_prefix = query_prefix or _stored_prompt(self._model, ("query",))
        self._document_prefix = document_prefix or _stored_prompt(self._model, ("document", "passage", "corpus"))
        self._space = Space(
            model=model,
            fingerprint=_sha256_of_loaded(self._model),
            dimension=int(self.embed_query("dimension").shape[0]),
            query_prefix=self._query_prefix,
            document_prefix=self._document_prefix,
            max_tokens=self.max_tokens,
        )

    @property
    def space(self) -> Space:
        return self._space

    @property
    def max_tokens(self) -> int:
        limit = self._model.max_seq_length
        return _NO_LIMIT if limit is None else int(min(limit, _NO_LIMIT))

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` without special tokens, uncut."""
        with self._lock:
            return len(self._model.tokenizer.encode(_encodable(text), add_special_tokens=False))

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (len(texts), dimension), rows of length 1, in the order of `texts`."""
        if not texts:  # encode returns shape (0,) for no texts
            return np.empty((0, self._space.dimension), dtype=np.float32)
        with self._lock:
            vectors = self._model.encode_document(
                [_encodable(text) for text in texts],
                prompt=self._document_prefix,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    def embed_query(self, text: str) -> Vectors:
        """float32 of shape (dimension,), of length 1."""
        with self._lock:
            vector = self._model.encode_query(
                _encodable(text), prompt=self._query_prefix, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vector, dtype=np.float32)


def _load_session(model_file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and need not stand on stderr as well
    try:
        return onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no other base class
        raise ModelUnavailable(
            f"{model_file} is damaged or no ONNX model; get it again with `ragstone models fetch` ({error})"
        ) from error


def _load_tokenizer(tokenizer_file: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    except Exception as error:  # the package raises Exception itself
        raise ModelUnavailable(
            f"{tokenizer_file} is damaged or no tokenizer; get it again with `ragstone models fetch` ({error})"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which tokenizers refuse, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _weights_beside(model_file: Path) -> list[Path]:
    """The files with weights that an ONNX model names (ONNX, "External Data"), by name."""
    others = [file for file in model_file.parent.iterdir() if file.is_file() and file != model_file]
    with model_file.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as model:
        return sorted(other for other in others if model.find(os.fsencode(other.name)) >= 0)


def _sha256(files: Sequence[Path]) -> str:
    """SHA-256 of the files' bytes, one after the other, in hex."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _sha256_of_loaded(model: Any) -> str:
    """SHA-256 of a loaded sentence-transformers model's weights and vocabulary, in hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy())  # float32 holds narrower types exactly
    for token, number in sorted(model.tokenizer.get_vocab().items()):
        digest.update(f"{number} {token}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _stored_prompt(model: Any, names: Sequence[str]) -> str:
    """The first prompt of these names that comes with the model, or nothing."""
    return next((model.prompts[name] for name in names if model.prompts.get(name)), "")
