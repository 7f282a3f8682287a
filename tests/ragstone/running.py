"""A real server over an application, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ragstone.api.app import create_app
from ragstone.commands.service import listening
from ragstone.wiring import Application


@contextmanager
def running(application: Application) -> Iterator[str]:
    """The URL of a real server in a thread of this process."""
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(create_app(application), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
