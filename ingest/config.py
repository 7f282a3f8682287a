"""Settings of ingestion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def kind_or(default: str) -> Callable[[Any], Any]:
    """For a section with several kinds: the default kind is meant where none is named."""
    return lambda value: {"kind": default, **value} if isinstance(value, dict) else value


class IngestSettings(BaseModel):
    """`[ingest]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_upload_mib: float = Field(50, gt=0, le=4096, description="Largest file that is taken")
    max_text_mib: float = Field(20, gt=0, le=1024, description="Largest extracted text")
    chunk_tokens: int = Field(
        200, ge=16, le=8192, description="Size of a chunk, heading path included, in the embedder's tokens"
    )
    chunk_overlap_tokens: int = Field(0, ge=0, le=512, description="Tokens that a chunk repeats of the one before it")
    embed_batch: int = Field(32, ge=1, le=1024, description="Chunks embedded between two progress reports")
