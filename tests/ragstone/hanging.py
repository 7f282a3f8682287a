"""A service whose job hangs, as a program: `python hanging.py FOLDER PATIENCE_S`, with tests/generation on the path.

It prints the process ids of its worker and of the engine when the one hangs and the other is ready.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from service import TRUE, application_in

from generation.config import LlamaCppSettings
from generation.engine import EngineFiles, read_address
from generation.language_models.llama_cpp import LlamaCpp
from ingest.extraction.process import ReadHere
from ingest.pipeline import IncomingFile
from ragstone import worker_process
from ragstone.commands.service import _serve_here, _without_lingering, listening
from ragstone.wiring import Application
from ragstone.worker_process import WorkerProcess
from retrieval.hash_embedder import HashEmbedder


class HangingEmbedder(HashEmbedder):
    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        while True:
            time.sleep(60)


def hanging_in(folder: Path) -> Application:
    """An application whose jobs never end."""
    application = application_in(folder)
    application.embedder = HangingEmbedder()
    return application


def main(folder: Path) -> None:
    from tiny_gguf import write_tiny_gguf

    flags = {"generation__model__context_tokens": 1024, "generation__model__threads": 1}
    settings = _without_lingering(application_in(folder, **flags).settings)
    assert isinstance(settings.generation.model, LlamaCppSettings)
    model_file = write_tiny_gguf(folder / "tiny.gguf", says="ok")
    model = LlamaCpp(settings.generation.model, model_file, folder / "run")
    worker = WorkerProcess(partial(hanging_in, folder))
    application = Application(
        settings, embedder=HashEmbedder(), language_model=model, jobs=worker, extractor=ReadHere()
    )
    job_id = application.ingestion.submit([IncomingFile("a.md", "a.md", TRUE.encode())], "default", None)

    def tell() -> None:
        while not list((folder / "run").glob("*.json")) or application.queue.get(job_id).state != "running":
            time.sleep(0.02)
        (file,) = (folder / "run").glob("*.json")
        address = read_address(EngineFiles(file.parent, file.stem))
        assert address is not None
        print(worker.pid, address.pid, flush=True)

    threading.Thread(target=tell, daemon=True).start()
    with listening("127.0.0.1", 0) as listener:
        _serve_here(application, worker, listener, True)


if __name__ in ("__main__", "__mp_main__"):  # also in the process that does the jobs
    worker_process._PATIENCE_S = float(sys.argv[2])
if __name__ == "__main__":
    main(Path(sys.argv[1]))
