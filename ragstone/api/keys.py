"""API keys. A key makes keys that may do what it may itself, and no more; it sees and ends those within its reach."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ingest.catalog.keys import Grant, Key, KeyRing
from ragstone.api.access import Administrator
from ragstone.api.parts import Parts

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class NewKey(Key):
    """`key` is the secret; it is shown this once."""

    key: str


async def _ring_of(parts: Parts) -> KeyRing:
    return KeyRing(parts.catalog)


Ring = Annotated[KeyRing, Depends(_ring_of)]


@router.post("", status_code=201)
def create(ring: Ring, caller: Administrator, response: Response, grant: Grant) -> NewKey:
    """The first key closes the system, so it must be one that administers all collections."""
    if caller.key_id is None:
        key, secret = ring.create_first(grant)
    else:
        key, secret = ring.create_by(caller.key_id, grant)
    response.headers["Cache-Control"] = "no-store"
    return NewKey(**key.model_dump(), key=secret)


@router.get("")
def list_keys(ring: Ring, caller: Administrator) -> dict[str, list[Key]]:
    """Revoked ones too."""
    return {"keys": ring.keys(caller.key_id)}


@router.delete("/{key_id}")
def revoke(ring: Ring, caller: Administrator, key_id: str) -> Key:
    """Ends the key for good, in every process at once."""
    return ring.revoke(key_id) if caller.key_id is None else ring.revoke_by(caller.key_id, key_id)
