"""`serve`."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ragstone.errors import CannotListen
from ragstone.settings import LoadedSettings
from ragstone.wiring import Application


@click.command()
@click.option("--host", help="Address to listen on; loopback only as long as there are no API keys.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.pass_obj
def serve(loaded: LoadedSettings, host: str | None, port: int | None) -> None:
    """Start the service, with the console at /."""
    import uvicorn

    from ragstone.api.app import create_app

    server = loaded.settings.server
    application = Application(loaded.settings)
    with listening(host or server.host, server.port if port is None else port) as listener:
        application.prepare()
        address, bound_port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        click.echo(f"Ragstone serves http://{shown}:{bound_port} from {loaded.settings.data.resolve()}")
        click.echo("Access is open: there are no API keys, and only this machine can connect.")
        config = uvicorn.Config(create_app(application), log_level="warning", timeout_graceful_shutdown=10)
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket on a loopback address. Raises CannotListen saying what to do."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise CannotListen(f"{host!r} is no IP address: use 127.0.0.1") from error
    if not address.is_loopback:
        raise CannotListen(
            f"listening on {host} without an API key is refused, and keys are not built yet: use 127.0.0.1"
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
