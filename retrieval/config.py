"""Settings of retrieval."""

from __future__ import annotations

from typing import Annotated, Literal

import Stemmer  # type: ignore[import-not-found]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ingest.config import kind_or


class OnnxEmbedderSettings(BaseModel):
    """A sentence embedder as an ONNX file beside its tokenizer.json; the default is the embedded one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["onnx"] = "onnx"
    model: str = Field(
        "all-MiniLM-L6-v2", description="Name of an embedded model, or a folder with model.onnx and tokenizer.json"
    )
    max_tokens: int = Field(256, ge=16, le=8192, description="Longer inputs are cut")
    query_prefix: str = ""
    document_prefix: str = ""
    threads: int = Field(0, ge=0, le=256, description="0: one per core")


class SentenceTransformersEmbedderSettings(BaseModel):
    """Any sentence-transformers model, by hub name or folder. Needs the extra of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sentence-transformers"]
    model: str
    device: str | None = None
    query_prefix: str = ""
    document_prefix: str = ""


EmbedderSettings = Annotated[
    OnnxEmbedderSettings | SentenceTransformersEmbedderSettings,
    Field(discriminator="kind"),
    BeforeValidator(kind_or("onnx")),
]


class RetrievalSettings(BaseModel):
    """`[retrieval]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: EmbedderSettings = OnnxEmbedderSettings()
    k: int = Field(8, ge=1, le=1000, description="Passages returned when the caller names no number")
    collapse: bool = Field(True, description="Show passages that say the same once, with all their places")
    candidates: int = Field(100, ge=1, le=10_000, description="Candidates of each half before fusion")
    fusion: Literal["convex", "rrf"] = "convex"
    dense_weight: float = Field(0.5, ge=0, le=1, description="Share of the dense half in the convex combination")
    rrf_k: int = Field(60, ge=1, le=1000)
    lexical_engine: Literal["lucene", "okapi", "rank-bm25"] = Field(
        "lucene", description="Ours as Lucene has it; ours as rank-bm25's BM25Okapi has it; or that package itself"
    )
    bm25_k1: float = Field(1.5, gt=0, le=10)
    bm25_b: float = Field(0.75, ge=0, le=1)
    bm25_epsilon: float = Field(0.25, ge=0, le=1, description="Of Okapi: the floor of an idf, as a share of the mean")
    language: str = Field("english", description="Snowball stemmer and list of stop words, or `none`")
    dense_engine: Literal["codes", "faiss"] = Field(
        "codes", description="Ours: int8 codes with sketches, on disk; or FAISS: exact float32, in memory"
    )
    dense_exact_up_to: int = Field(
        20_000, ge=0, description="Up to so many visible chunks each is scored; above, those that sketches point to"
    )
    dense_threads: int | None = Field(
        None,
        ge=0,
        le=256,
        description="Threads that searches of many chunks use beside those that ask; by default one less than cores",
    )

    @field_validator("language")
    @classmethod
    def _known_language(cls, language: str) -> str:
        known = ("none", *sorted(Stemmer.algorithms()))
        if language not in known:
            raise ValueError(f"there is no stemmer for {language!r}: choose one of {', '.join(known)}")
        return language
