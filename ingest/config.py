"""Settings of ingestion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


def kind_or(default: str) -> Callable[[Any], Any]:
    """For a section with several kinds: the default kind is meant where none is named."""
    return lambda value: {"kind": default, **value} if isinstance(value, dict) else value


class RetentionSettings(BaseModel):
    """How long hidden text is kept; without limits, for good. What either limit keeps is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_revisions: int | None = Field(None, ge=1, description="The newest revisions that can be asked for")
    keep_days: float | None = Field(None, ge=0, description="Days for which a hidden text can still be asked for")


class ExtractionSettings(BaseModel):
    """What reading one file may take. Uploads are hostile until they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processes: int = Field(2, ge=1, le=64, description="Files that are read at a time, each in a process of its own")
    memory_mib: int = Field(1024, ge=256, description="Memory that reading one file may take")
    cpu_s: int = Field(120, ge=1, description="Processor time that reading one file may take")
    wall_s: float = Field(180, gt=0, description="Time that reading one file may take")
    max_unpacked_mib: float = Field(400, gt=0, description="What a packed file (DOCX, ZIP...) may unpack to")
    max_expansion: float = Field(
        200, ge=1, description="How many times larger a file may become as it is read, above 10 MiB"
    )
    max_files: int = Field(1000, ge=1, description="Attachments, messages and members of one file")
    max_parts: int = Field(
        20_000, ge=1, description="Parts that an office file or a book is packed of: sheets, pictures"
    )
    max_depth: int = Field(3, ge=0, description="How deep files may be nested in files: 0 leaves attachments out")
    max_pages: int = Field(5000, ge=1, description="Pages of one file")
    max_megapixels: float = Field(100, gt=0, description="Size of one picture")
    ocr: bool = Field(True, description="Read pictures of text by tesseract, where it is installed")
    ocr_languages: str = Field("eng", description="Languages of tesseract, as in `eng+deu`")


class WebSettings(BaseModel):
    """How web pages are asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: float = Field(30, gt=0, description="Time for one request")
    delay_s: float = Field(0.2, ge=0, description="Between two requests")
    max_page_mib: float = Field(20, gt=0, description="Largest page whose links are followed")
    noindex: bool = Field(True, description="Leave out pages that ask by `noindex` to be in no index")
    allow_private: bool = Field(False, description="Ask addresses inside this network too, such as 127.0.0.1")


class ScreeningSettings(BaseModel):
    """What is looked for in documents before they are indexed. The defaults are measured by benchmarks/screening.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="Screen documents for what should not reach the index")
    quarantine: tuple[Literal["instructions", "hidden-text", "invisible-characters", "flood", "shift"], ...] = Field(
        ("instructions", "hidden-text", "invisible-characters", "flood", "shift"),
        description="Findings that keep a document out of the index until a person decides; others are only told",
    )
    instruction_score: float = Field(
        0.7, gt=0, le=1, description="From which score on text counts as instructions to the model"
    )
    max_hidden_words: int = Field(
        40, ge=0, description="Words that may stand in the colour of their background, too small, or beside the page"
    )
    flood_similarity: float = Field(
        0.8, gt=0, le=1, description="Share of their text (as five-word sequences) that near copies have in common"
    )
    flood_documents: int = Field(20, ge=2, description="So many near copies of a document are a flood")
    shift_share: float = Field(
        0.25, gt=0, le=1, description="Share of a source's documents that may be emptied, or replaced, at once"
    )
    shift_removed_share: float = Field(
        0.5, gt=0, le=1, description="Share of a source's documents that may go, or go and be replaced, at once"
    )
    shift_added_share: float = Field(
        2.0, gt=0, description="How many documents may come to a source at once, for each that was there"
    )
    max_findings: int = Field(10, ge=1, description="Findings of one kind that are kept of a document")


# Personal data that has a form, and that which only a model tells.
PatternKind = Literal[
    "CREDIT_CARD",
    "CRYPTO",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "PHONE_NUMBER",
    "UK_NHS",
    "US_ITIN",
    "US_SSN",
]
ModelKind = Literal["DATE_TIME", "LOCATION", "NRP", "ORGANIZATION", "PERSON"]
MODEL_KINDS: frozenset[str] = frozenset(get_args(ModelKind))


class RedactionSettings(BaseModel):
    """Personal data that is replaced by marks before a document is stored; needs the extra `pii`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: tuple[PatternKind | ModelKind, ...] = Field((), description="Kinds that are replaced; none by default")
    model: str | None = Field(
        None,
        description="spaCy model, a package or a folder, that finds persons, places and the like (NRP: nationality)",
    )
    language: str = Field(
        "en", description="Language of the model, and of the words that are looked for around numbers"
    )
    phone_regions: tuple[str, ...] = Field(
        ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR"),
        description="Countries whose phone numbers are found without a country code; more find more wrong ones too",
    )
    min_score: float = Field(0.4, ge=0, le=1, description="How sure Presidio must be of what is replaced")

    @model_validator(mode="after")
    def _model_for_kinds(self) -> Self:
        unfindable = sorted(MODEL_KINDS & set(self.kinds)) if self.model is None else []
        if unfindable:
            raise ValueError(
                f"{', '.join(unfindable)} can't be found by patterns: name an installed spaCy model in "
                "`ingest.redaction.model`, or leave them out of `ingest.redaction.kinds`"
            )
        return self


class IngestSettings(BaseModel):
    """`[ingest]` in ragstone.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_upload_mib: float = Field(50, gt=0, le=4096, description="Largest file that is taken")
    max_text_mib: float = Field(20, gt=0, le=512, description="Largest extracted text")
    extraction: ExtractionSettings = ExtractionSettings()
    web: WebSettings = WebSettings()
    screening: ScreeningSettings = ScreeningSettings()
    redaction: RedactionSettings = RedactionSettings()
    chunk_tokens: int = Field(
        200, ge=16, le=8192, description="Size of a chunk, heading path included, in the embedder's tokens"
    )
    chunk_overlap_tokens: int = Field(0, ge=0, le=512, description="Tokens that a chunk repeats of the one before it")
    catalog_url: SecretStr | None = Field(
        None,
        description="PostgreSQL for the catalog, as postgresql://USER:PASSWORD@HOST/NAME (the password can stand in "
        "~/.pgpass instead); without it, SQLite in the data folder",
    )
    retention: RetentionSettings = RetentionSettings()
    keep_jobs_days: float = Field(90, ge=0, description="Days for which a finished job can still be looked up")
    commit_files: int = Field(64, ge=1, le=10_000, description="Files that one commit, and so one revision, takes")
    commit_chunks: int = Field(256, ge=1, description="With so many chunks a commit takes no further file")
    cutting_s: float = Field(120, gt=0, description="Time that cutting the text of one file into passages may take")
    embed_batch: int = Field(32, ge=1, le=1024, description="Chunks embedded between two progress reports")
