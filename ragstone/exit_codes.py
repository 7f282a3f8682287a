"""Exit codes: 0 done, 1 the answer is no, 2 the request was wrong, 3 something outside failed."""

from __future__ import annotations

ANSWER_IS_NO = 1
WRONG_REQUEST = 2
TRY_AGAIN = 3

# Failures of something outside, where trying again may help, and bugs.
_TRY_AGAIN_CODES = frozenset(
    {
        "storage-full",
        "catalog-unavailable",
        "catalog-damaged",
        "lease-held",
        "lease-lost",
        "job-not-done",
        "try-again",
        "queue-full",
        "model-loading",
        "model-unavailable",
        "model-failed",
        "models-missing",
        "embedder-unavailable",
        "cannot-listen",
        "internal-error",
    }
)


def exit_code_of(code: str) -> int:
    """The exit code of an error by its stable code."""
    return TRY_AGAIN if code in _TRY_AGAIN_CODES else WRONG_REQUEST
