"""Settings of generation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from ingest.config import kind_or


class LlamaCppSettings(BaseModel):
    """The embedded engine: llama.cpp in one process per machine, shared by all workers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["llama-cpp"] = "llama-cpp"
    model: str = Field(
        "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M", description="Name of an embedded model, or path of a GGUF file"
    )
    context_tokens: int = Field(2048, ge=256, le=1_048_576, description="Context of one slot")
    threads: int = Field(0, ge=0, le=256, description="0: one per core")
    slots: int = Field(1, ge=1, le=64, description="Answers generated side by side")
    batch_tokens: int = Field(
        64, ge=16, le=4096, description="Prompt tokens between two looks at whether the caller has left"
    )
    reuse_prefix: bool = Field(True, description="Keep the prompt's common beginning of the slot's last request")
    linger_s: float = Field(
        60,
        ge=0,
        description="How long the engine process outlives its last user; one that `serve` started goes with it",
    )
    start_timeout_s: float = Field(120, gt=0)


class OpenAICompatibleSettings(BaseModel):
    """Any server that speaks the OpenAI chat completions API (vLLM, llama.cpp's server, …)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["openai-compatible"]
    base_url: str = Field(description="Up to and with /v1")
    model: str
    api_key: SecretStr | None = None
    context_tokens: int = Field(4096, ge=256)
    timeout_s: float = Field(120, gt=0)


class LlamaIndexSettings(BaseModel):
    """Any llama-index LLM by its class, such as `llama_index.llms.ollama.Ollama`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["llama-index"]
    class_path: str
    arguments: dict[str, Any] = {}
    context_tokens: int | None = Field(None, ge=256, description="Default: what the LLM's metadata says")


LanguageModelSettings = Annotated[
    LlamaCppSettings | OpenAICompatibleSettings | LlamaIndexSettings,
    Field(discriminator="kind"),
    BeforeValidator(kind_or("llama-cpp")),
]


class GenerationSettings(BaseModel):
    """`[generation]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: LanguageModelSettings = LlamaCppSettings()
    prompt_tokens: int = Field(700, ge=200, le=1_000_000, description="Budget of the whole prompt")
    passages: int = Field(5, ge=1, le=50, description="Most passages in the prompt")
    max_answer_tokens: int = Field(200, ge=8, le=8192)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    queue_size: int = Field(8, ge=0, le=10_000, description="Callers that may wait beyond those being served")
    unsupported: Literal["abstain", "annotate"] = Field(
        "abstain", description="What happens to an answer that the passages do not support"
    )
    hold_until_verdict: bool = Field(False, description="Stream no draft: show text only after its verdict")
