"""Files that are read while others are embedded."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import AbstractContextManager

from ingest.config import IngestSettings
from ingest.errors import LimitExceeded, ReaderUnavailable
from ingest.extraction.process import Extractor, ReadingEnded
from ingest.extraction.wire import Examination, Examined
from ingest.jobs.uploads import Upload
from ingest.loaders.reading import Reading
from ingest.originals import Originals

# All that decides what reading a file gives.
_Key = tuple[str, str, str | None]
# A process that reads can be ended from outside, such as by a system that is short of memory.
_TRIES = 3


class ReadingAhead:
    """Files handed to the extractor before it is their turn. What is read is kept until it is taken."""

    def __init__(self, originals: Originals, extractor: Extractor, settings: IngestSettings) -> None:
        self._originals = originals
        self._extractor = extractor
        self._settings = settings
        self._examination = Examination(settings.screening, settings.redaction)
        self._futures: dict[_Key, Future[Examined]] = {}
        self._tries: dict[_Key, int] = {}

    def start(self, upload: Upload) -> None:
        """Has a file read, unless it is being read already. Raises NotFound where its bytes are gone or damaged."""
        key = _key(upload)
        if key not in self._futures:
            reading = Reading(self._settings.extraction, upload.password, self._settings.max_text_mib)
            data = self._originals.read(upload.content_hash)
            self._futures[key] = self._extractor.submit(data, upload.name, reading, self._examination)

    def together(self) -> AbstractContextManager[None]:
        """What is started within is begun at its end, with less effort than one by one."""
        return self._extractor.together()

    def has_begun(self, upload: Upload) -> bool:
        return _key(upload) in self._futures

    def take(self, upload: Upload, patience_s: float) -> Examined | None:
        """The document, or None while it is still being read. Raises RefusedDocument, ReaderBug, ReaderUnavailable."""
        self.start(upload)
        key = _key(upload)
        try:
            examined = self._futures[key].result(patience_s)
        except NotYet:
            return None
        except ReaderUnavailable:
            self._forget_all()  # others that were handed over met the same, and are tried anew with this one
            raise
        except ReadingEnded as error:
            del self._futures[key]
            self._tries[key] = self._tries.get(key, 0) + 1
            if self._tries[key] < _TRIES:
                return None
            del self._tries[key]
            raise LimitExceeded(
                f"{upload.name}: the program that reads it was ended from outside {_TRIES} times, as it is when the "
                "machine is short of memory. Free some, then upload it again."
            ) from error
        except Exception:
            self._forget(key)
            raise
        self._forget(key)
        return examined

    def keep_only(self, uploads: Iterable[Upload]) -> None:
        """Forgets all other files: those of jobs that were cancelled, or that were not needed after all."""
        kept = {_key(upload) for upload in uploads}
        for key in self._futures.keys() - kept:
            self._futures[key].cancel()
            self._forget(key)

    def close(self) -> None:
        """Ends what is being read, and forgets it."""
        self._forget_all()

    def _forget_all(self) -> None:
        self._extractor.close()
        self._futures.clear()
        self._tries.clear()

    def _forget(self, key: _Key) -> None:
        del self._futures[key]
        self._tries.pop(key, None)


def _key(upload: Upload) -> _Key:
    return upload.content_hash, upload.name, upload.password
