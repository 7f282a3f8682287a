"""A running service over in-tree fakes, for tests: the real app, worker, catalog and verifier; no big model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from generation.language_models.scripted import ScriptedLanguageModel
from generation.types import LanguageModel
from ingest.extraction.process import ReadHere
from ragstone.api.app import create_app
from ragstone.settings import load_settings
from ragstone.wiring import Application
from retrieval.hash_embedder import HashEmbedder

TRUE = "The small pump weighs 11 kg."
HOST = "127.0.0.1:8321"


def application_in(folder: Path, model: LanguageModel | None = None, **flags: Any) -> Application:
    """An application over `folder`; flags are settings with `__` for the dots."""
    named = {key.replace("__", "."): value for key, value in flags.items()}
    settings = load_settings(flags={"data": folder, **named}).settings
    model = model or ScriptedLanguageModel([f"{TRUE} [1]"])
    return Application(settings, embedder=HashEmbedder(), language_model=model, extractor=ReadHere())


@contextmanager
def service(folder: Path, model: LanguageModel | None = None, **flags: Any) -> Iterator[TestClient]:
    """A client of a service that has started; it stops at the end."""
    application = application_in(folder, model, **flags)
    with TestClient(create_app(application), base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        yield client


def upload(client: TestClient, name: str, data: bytes, *, wait: bool = True, **form: str) -> Any:
    reply = client.post("/v1/documents", files={"file": (name, data)}, data=form, params={"wait": wait})
    assert reply.status_code == (200 if wait else 202), reply.text
    return reply.json()
