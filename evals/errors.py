"""Errors of evaluation, named by what the caller must do.

EvalsError
└── BadCases          mend the file: the message names file, line and field
"""

from __future__ import annotations


class EvalsError(Exception):
    """Root of this package's errors. `code` is stable and part of the API."""

    code = "evals-error"


class BadCases(EvalsError):
    code = "bad-cases"
