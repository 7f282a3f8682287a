"""What is committed is read now and then, whatever goes wrong with it."""

from __future__ import annotations

import logging
import threading

import pytest

from ingest.errors import CatalogUnavailable
from ragstone import keeping_up
from ragstone.keeping_up import KeepingUp


def test_neither_a_known_error_nor_a_bug_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping_up, "EVERY_S", 0.01)
    third = threading.Event()
    errors: list[Exception] = [CatalogUnavailable("it is away"), ZeroDivisionError()]

    def keep_up() -> None:
        if errors:
            raise errors.pop(0)
        third.set()

    with caplog.at_level(logging.WARNING):
        its = KeepingUp(keep_up)
        assert third.wait(30)
        its.stop()
    known, bug = (record.getMessage() for record in caplog.records)
    assert known == "what was committed can't be read into the index: it is away"
    assert "bug" in bug
