"""Collections and their settings."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict

from ingest.catalog.collection_settings import CollectionInfo, Collections
from ingest.config import RetentionSettings
from ingest.quarantine.quarantine import Policy
from ragstone.api.access import Administrator, Reader
from ragstone.api.inputs import Text
from ragstone.api.parts import Parts
from ragstone.errors import NotBuilt
from ragstone.names import collection_name

router = APIRouter(prefix="/v1/collections", tags=["collections"])

CollectionName = Annotated[str, AfterValidator(collection_name)]


class CollectionBody(BaseModel):
    """What a collection has of its own; what is left out is as the settings of the system say."""

    model_config = ConfigDict(extra="forbid")

    language: Text | None = None
    retention: RetentionSettings = RetentionSettings()
    gate: Literal["off", "on"] = "off"
    quarantine: Policy = "suspicious"


class Collection(BaseModel):
    """A collection with what the head revision shows of it."""

    name: str
    settings: dict[str, Any]
    documents: int
    chunks: int
    created_at: datetime


class CollectionDeleted(BaseModel):
    revision: int


@router.get("")
def list_collections(parts: Parts, caller: Reader) -> dict[str, list[Collection]]:
    """Those that the caller may read, by name."""
    return {"collections": [_shown(found) for found in Collections(parts.catalog).all(caller.readable)]}


@router.put("/{name}")
def put(parts: Parts, caller: Administrator, name: CollectionName, body: CollectionBody) -> Collection:
    """Gives the collection these settings in place of those it has; it is made where there is none."""
    caller.need_collection(name)
    system = parts.settings.retrieval.language
    if body.language not in (None, system):
        raise NotBuilt(
            f"a language of its own for a collection is not built yet: leave `language` out, or write {system!r}"
        )
    if body.gate != "off":
        raise NotBuilt("holding changes of a collection back for a gate is not built yet: leave `gate` out")
    collections = Collections(parts.catalog)
    collections.set(name, body.model_dump(mode="json", exclude_unset=True))
    return _shown(collections.get(name, caller.readable))


@router.delete("/{name}")
def delete(parts: Parts, caller: Administrator, name: CollectionName) -> CollectionDeleted:
    """Hides all documents of the collection in one revision; its history and its settings stay."""
    Collections(parts.catalog).get(name, caller.readable)
    return CollectionDeleted(revision=parts.history.delete_collection(name))


def _shown(found: CollectionInfo) -> Collection:
    return Collection(**asdict(found))
