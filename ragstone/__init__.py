"""The shell: settings, wiring, HTTP API, console, CLI. Composes the five packages; no algorithm lives here."""

__version__ = "0.1.0"
