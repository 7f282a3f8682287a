"""Errors of generation, named by what the caller must do.

GenerationError
├── BadQuestion        change the request: an empty question, or one over the model's context
├── AnswerNotFound     no such answer
├── QueueFull          come back after `retry_after_s`
├── ModelUnavailable   the model's files are missing or its server can't be reached
├── ModelLoading       the model is being loaded: try again in some seconds
├── ModelFailed        the model's server answered with an error, or broke off
└── MissingExtra       install the named extra or package
"""

from __future__ import annotations


class GenerationError(Exception):
    """Root of this package's errors. `code` is stable and part of the API."""

    code = "generation-error"


class BadQuestion(GenerationError):
    code = "bad-question"


class AnswerNotFound(GenerationError):
    code = "not-found"


class QueueFull(GenerationError):
    code = "queue-full"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(GenerationError):
    code = "model-unavailable"


class ModelLoading(GenerationError):
    code = "model-loading"


class ModelFailed(GenerationError):
    code = "model-failed"


class MissingExtra(GenerationError):
    code = "missing-extra"
