"""Errors of the shell, named by what the caller must do.

ShellError
├── BadSettings       mend the named setting
├── BadRequest        change the command or request
├── NotBuilt          not there yet: the message says in which step it comes
├── KeyNeeded         send an API key that is in force
├── LimitReached      come back after `retry_after_s`, or have the key's limit raised
├── ModelsMissing     `ragstone models fetch`
├── JobNotDone        what the message says; all is as it was
└── CannotListen      another port or host, as the message says
"""

from __future__ import annotations

from evals.errors import EvalsError
from generation.errors import GenerationError
from ingest.errors import IngestError
from retrieval.errors import RetrievalError


class ShellError(Exception):
    """Root of this package's errors. `code` is stable and part of the API."""

    code = "shell-error"


class BadSettings(ShellError):
    code = "bad-settings"


class BadRequest(ShellError):
    code = "bad-request"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotBuilt(ShellError):
    code = "not-built"


class KeyNeeded(ShellError):
    code = "key-needed"


class LimitReached(ShellError):
    code = "limit-reached"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelsMissing(ShellError):
    code = "models-missing"


class JobNotDone(ShellError):
    code = "job-not-done"


class CannotListen(ShellError):
    code = "cannot-listen"


# Errors that are part of the contract, each with a stable `code`. Anything else is a bug.
KnownError = (IngestError, RetrievalError, GenerationError, EvalsError, ShellError)
