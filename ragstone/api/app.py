"""The HTTP service: routers, error documents, guards, and what is started and stopped with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

import ragstone
from ragstone.api import (
    ask,
    collections,
    documents,
    feedback,
    health,
    history,
    index,
    jobs,
    keys,
    problems,
    quarantine,
    search,
    sources,
    unbuilt,
)
from ragstone.api.access import Access
from ragstone.api.guards import SameOrigin, SizeLimit
from ragstone.wiring import Application

_TOPICS = (
    documents,
    search,
    ask,
    feedback,
    jobs,
    index,
    history,
    sources,
    quarantine,
    collections,
    keys,
    health,
    unbuilt,
)


def create_app(
    application: Application, *, only_this_machine: bool = True, at_end: Callable[[], None] = lambda: None
) -> FastAPI:
    """The ASGI app over one application. The worker and the language model start with it.

    Without any API key it is open to all if `only_this_machine` can connect, and else to none. `at_end` is called when
    it begins to end.
    """
    app = FastAPI(
        title="Ragstone",
        version=ragstone.__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.application, app.state.at_end = application, at_end
    problems.install(app)
    for topic in (
        documents,
        search,
        ask,
        feedback,
        jobs,
        index,
        history,
        sources,
        quarantine,
        collections,
        keys,
        health,
        unbuilt,
    ):
        app.include_router(topic.router)
    app.add_api_route("/", _console, methods=["GET", "HEAD"], response_class=HTMLResponse, include_in_schema=False)
    # The last one added is the first to see a request.
    app.add_middleware(SizeLimit, limit_mib=application.settings.server.max_request_mib)
    app.add_middleware(SameOrigin, host=application.settings.server.host)
    app.add_middleware(Access, application=application, may_be_open=only_this_machine)
    app.add_middleware(problems.LastResort)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    application: Application = app.state.application
    # What must be there for the service to make sense is built now, so that a fault shows at the start.
    await asyncio.to_thread(application.prepare)
    application.start()
    # The language model may take its time or be missing: uploads and search work meanwhile.
    app.state.model_start = asyncio.create_task(application.language_model.start())
    try:
        yield
    finally:
        app.state.at_end()
        app.state.model_start.cancel()
        await asyncio.gather(app.state.model_start, return_exceptions=True)
        try:
            await application.language_model.aclose()  # first: nobody asks any more, and a job can take its time to end
        finally:
            await asyncio.to_thread(application.stop)
            application.close()


async def _console() -> HTMLResponse:
    page = files("ragstone.console").joinpath("index.html").read_text(encoding="utf-8")
    return HTMLResponse(page, headers={"Content-Security-Policy": CONSOLE_POLICY})


# The console is one file: its own inline code and styles, and calls to its own origin, nothing else.
CONSOLE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
