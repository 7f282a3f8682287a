"""What a source is, and what it tells of the documents in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ingest.sources.locations import check_branch, check_location
from ingest.sources.protocols import check_bucket, require_readable
from ingest.sources.schedule import Schedule
from ingest.sources.secrets import require_no_secret, require_no_secret_option
from ingest.types import DocumentState, Problem

SourceKind = Literal["folder", "web", "sitemap", "git", "bucket"]
ItemState = DocumentState | Literal["erased", "kept"]

RunState = Literal["running", "done", "failed", "waiting", "cancelled", "held"]

Patterns = tuple[Annotated[str, Field(min_length=1, max_length=500)], ...]


class SourceSettings(BaseModel):
    """How a source is followed. `location` is a folder, a page's, sitemap's or repository's address, a bucket's URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SourceKind
    location: str = Field(min_length=1, max_length=4000)
    collection: str = "default"
    schedule: Schedule | None = None  # None: only when it is asked for, or when a watched folder says so
    include: Patterns = ()  # of the items' URIs, as in a shell; none: all
    exclude: Patterns = ()
    max_items: int = Field(100_000, ge=1)
    keep_missing: bool = False  # documents stay when their items are gone
    watch: bool = True  # folders: changes are taken in when they happen
    depth: int = Field(0, ge=0, le=20)  # web: how far links are followed from the page
    branch: str | None = Field(None, max_length=500)  # git: None is the repository's own choice
    subfolder: str = Field("", max_length=1000)  # git: only what is below
    options: dict[str, Any] = {}  # buckets: of the file system, such as endpoint_url; never a secret

    @classmethod
    def stored(cls, values: object) -> SourceSettings:
        """Settings as the catalog has them, which were checked when they came. Raises ValidationError."""
        return cls.model_validate(values, context={_STORED: True})

    @field_validator("location")
    @classmethod
    def _location_is_one(cls, location: str, info: ValidationInfo) -> str:
        if "kind" in info.data:
            if not _is_stored(info):
                require_no_secret(info.data["kind"], location)
            check_location(info.data["kind"], location)
            if info.data["kind"] == "bucket" and not _is_stored(info):
                require_readable(check_bucket(location))
        return location

    @field_validator("branch")
    @classmethod
    def _branch_is_one(cls, branch: str | None) -> str | None:
        check_branch(branch)
        return branch

    @field_validator("options")
    @classmethod
    def _options_have_no_secrets(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not _is_stored(info):
            require_no_secret_option(options)
        return options

    @model_validator(mode="after")
    def _settings_are_of_the_kind(self, info: ValidationInfo) -> SourceSettings:
        for name, kind in () if _is_stored(info) else _OF_ONE_KIND.items():
            if kind != self.kind and getattr(self, name) != SourceSettings.model_fields[name].default:
                raise ValueError(
                    f"{name} means nothing for a source of the kind {self.kind}, only for {kind}: leave it out"
                )
        return self


# What is a setting of one kind only; `watch` is on everywhere and means nothing elsewhere.
_OF_ONE_KIND = {"depth": "web", "branch": "git", "subfolder": "git", "options": "bucket"}
# The context for settings that come from the catalog.
_STORED = "stored"


def _is_stored(info: ValidationInfo) -> bool:
    """What is refused only by now must not hinder those that read what was taken before."""
    return bool(info.context and info.context.get(_STORED))


class LastRun(BaseModel):
    """How the last refresh of a source went; `revision` is the head that it left.

    `problem` says why it was not done, or what of the source could not be listed. `left_out` counts what was not taken
    and never will be as it is, such as links that lead out of a folder. `notes` say why, one for each reason; and of
    which other source items are.
    """

    job_id: str
    started_at: datetime
    finished_at: datetime | None = None
    state: RunState = "running"
    listed: int = 0
    taken: int = 0
    unchanged: int = 0
    failed: int = 0
    quarantined: int = 0
    removed: int = 0
    renamed: int = 0
    left_out: int = 0
    revision: int | None = None
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


class SourceInfo(BaseModel):
    """A source with its last run."""

    name: str
    kind: SourceKind
    location: str
    collection: str
    schedule: str | None
    settings: SourceSettings
    items: int
    created_at: datetime
    next_at: datetime | None
    last_run: LastRun | None


class ItemInfo(BaseModel):
    """An item of a source, and what became of it when it was taken last."""

    document_id: str
    uri: str
    state: ItemState
    problem: Problem | None
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """An item as its source lists it.

    `mark` changes whenever the content may have changed; None where only asking for it can tell. `name` tells the
    format, `uri` is the document's; `key` is for the reader that listed it.
    """

    key: str
    uri: str
    name: str
    mark: str | None


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A part of a source that can't be listed: whether what has a URI below `prefix` is still there is not known."""

    prefix: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What stands in a source and is not taken: it counts as not there. `reason` is one of many, such as "links to
    folders"."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of an item, and the mark by which to tell next time that they are the same."""

    data: bytes
    mark: str | None
    name: str


class LeaveOut(Exception):
    """An item that turns out to be one to leave out when it is fetched. The message is the reason of LeftOut."""


class SourceReader(Protocol):
    """Lists what a source has, and fetches it.

    Errors: TryAgain for what may pass, SourceUnusable for what only a person can mend, any RefusedDocument for one
    item.
    """

    def list(self, stop: Callable[[], bool]) -> Iterator[Listed | Unlisted | LeftOut]:
        """All items, once each. A list that can't be finished raises: what is not listed is taken for gone."""
        ...

    def may_be_empty(self, since: datetime) -> bool:
        """Whether a list without any item is to be believed of a source that had some at the time `since`."""
        ...

    def fetch(self, item: Listed, mark: str | None, max_bytes: int) -> Fetched | None:
        """The item, or None when it is as it was at `mark`. Raises DocumentTooLarge above `max_bytes`, NotFound when
        it has gone meanwhile, and LeaveOut."""
        ...

    def close(self) -> None:
        """Lets go of what it holds. It is called by the thread that uses it."""
        ...
