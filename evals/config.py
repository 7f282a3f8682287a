"""Settings of evaluation and of the inline verifier."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EvalsSettings(BaseModel):
    """`[evals]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    supported_at: float = Field(0.5, ge=0, le=1, description="A claim of at least this score is supported")
