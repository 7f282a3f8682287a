"""`serve`."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ingest.ending import end_within
from ragstone import logs
from ragstone.errors import CannotListen
from ragstone.settings import LoadedSettings, Settings
from ragstone.wiring import Application

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ragstone.worker_process import Waker, WorkerProcess


@click.command()
@click.option("--host", help="Address to listen on; loopback only as long as there are no API keys.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve.")
@click.pass_obj
def serve(loaded: LoadedSettings, host: str | None, port: int | None, workers: int) -> None:
    """Start the service, with the console at /.

    The jobs are done by a process beside those that serve, and these follow what it commits; the language model runs
    once a machine.
    """
    from ingest.catalog.keys import KeyRing
    from ragstone.worker_process import WorkerProcess

    settings = _without_lingering(loaded.settings)
    server = settings.server
    worker = WorkerProcess(partial(Application, settings))
    application = Application(settings, jobs=worker)
    keys = KeyRing(application.catalog)
    with listening(host or server.host, server.port if port is None else port, keys.any_in_force()) as listener:
        if workers == 1:
            application.prepare()
        else:
            application.embedders.in_use()  # so that a fault shows now
        address, bound_port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        click.echo(f"Ragstone serves http://{shown}:{bound_port} from {loaded.settings.data.resolve()}")
        if keys.any_in_force():
            click.echo("Access needs an API key: `ragstone keys list` shows which there are.")
        else:
            click.echo("Access is open: there are no API keys, and only this machine can connect.")
        near = ipaddress.ip_address(address).is_loopback
        if not near:
            click.echo("Keys and documents cross the network as they are: put a proxy that speaks TLS in front.")
        if workers == 1:
            _serve_here(application, worker, listener, near)
        else:
            application.close()
            worker.start()
            try:
                _serve_by(workers, settings, listener, near, worker.waker)
            finally:
                worker.stop()


def _without_lingering(settings: Settings) -> Settings:
    """The engine of the language model goes with the service that started it: it waits for no next command."""
    from generation.config import LlamaCppSettings

    model = settings.generation.model
    if not isinstance(model, LlamaCppSettings):
        return settings
    generation = settings.generation.model_copy(update={"model": model.model_copy(update={"linger_s": 0.0})})
    return settings.model_copy(update={"generation": generation})


def _serve_here(application: Application, worker: WorkerProcess, listener: socket.socket, near: bool) -> None:
    import uvicorn

    from ragstone.api.app import create_app

    def at_end() -> None:
        end_within(_LONGEST_END_S)
        signal.signal(signal.SIGINT, lambda number, frame: worker.kill())  # whoever asks again waits for no job

    config = uvicorn.Config(create_app(application, only_this_machine=near, at_end=at_end), **_UVICORN)
    try:
        with suppress(KeyboardInterrupt):  # which uvicorn raises again, after all has ended as it should
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        worker.kill()  # where uvicorn was asked twice, and let nothing end as it should


def _serve_by(workers: int, settings: Settings, listener: socket.socket, near: bool, waker: Waker) -> None:
    """Each process is started anew, not forked: neither FAISS nor a database connection survives a fork."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        partial(served_app, settings, near, waker, logs.level()), factory=True, workers=workers, **_UVICORN
    )
    Multiprocess(config, sockets=[listener]).run()


def served_app(settings: Settings, near: bool, waker: Waker, log_level: int) -> FastAPI:
    """The app of one of several processes."""
    from ragstone.api.app import create_app
    from ragstone.worker_process import WorkerElsewhere

    logs.log_from(log_level)
    waker.end_with_service()
    at_end = partial(end_within, _LONGEST_END_S)
    return create_app(Application(settings, jobs=WorkerElsewhere(waker)), only_this_machine=near, at_end=at_end)


# Longer than the worker may take to end. What hangs then, such as a thread, would hang for ever.
_LONGEST_END_S = 75.0
_UVICORN: dict[str, Any] = {"log_level": "warning", "timeout_graceful_shutdown": 10}


@contextmanager
def listening(host: str, port: int, keys: bool = False) -> Iterator[socket.socket]:
    """A listening socket; on another address than loopback only with `keys`. Raises CannotListen saying what to do."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise CannotListen(f"{host!r} is no IP address: use 127.0.0.1") from error
    if not (address.is_loopback or keys):
        raise CannotListen(
            f"listening on {host} without an API key is refused: make one with `ragstone keys create NAME`, or use "
            "127.0.0.1"
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        listener = socket.create_server((str(address), port), family=family)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        mend = "stop what listens there, or name another port with --port" if in_use else "choose another with --port"
        raise CannotListen(f"port {port} of {host}: {error.strerror}; {mend}") from error
    with listener:
        yield listener


COMMANDS = (serve,)
