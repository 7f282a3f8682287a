"""Looks at a source in a thread of its own: lists it, and fetches what may have changed."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ingest.bugs import logged_bug
from ingest.errors import IngestError, NotFound, RefusedDocument, SourceUnusable, TryAgain
from ingest.identity import as_uri, document_id_of, is_uri
from ingest.source_items import Item
from ingest.sources.hopper import Arrival, Closed, Hopper
from ingest.sources.types import LeaveOut, LeftOut, Listed, SourceReader, SourceSettings, Unlisted
from ingest.types import Problem

# What waits to be ingested is in memory.
_AHEAD_BYTES = 32 * 1024 * 1024
# So many items one after the other that can't be had now: the others can't be had either.
_MOST_FAILURES = 20

# Why documents are not to be fetched, by document, those of them that are not.
Barred = Callable[[Sequence[str]], Mapping[str, Problem]]


class Fetching:
    """One look at one source. `listed` is there when `is_listed` is set, and `error` when it failed."""

    def __init__(
        self,
        reader: SourceReader,
        settings: SourceSettings,
        known: Mapping[str, Item],
        barred: Barred,
        max_bytes: int,
        again: bool,
    ) -> None:
        self.listed: dict[str, Listed] = {}  # by document
        self.unlisted: list[Unlisted] = []
        self.left_out: dict[str, tuple[int, str]] = {}  # of what is listed: how many for each reason, and one of them
        self.to_fetch = 0
        self.is_listed = threading.Event()
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.hopper = Hopper(_AHEAD_BYTES)
        self._reader = reader
        self._settings = settings
        self._known = known
        self._barred = barred
        self._max_bytes = max_bytes
        self._again = again
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source-fetching", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it soon; a request that is under way is not waited for."""
        self._stopped.set()
        self.hopper.close()

    def _run(self) -> None:
        try:
            self._list()
            wanted = [(its, item) for its, item in self.listed.items() if self._may_have_changed(its, item)]
            self.to_fetch = len(wanted)
            self.is_listed.set()
            self._fetch(wanted)
        except Closed:
            return
        except IngestError as error:
            self.error = error
        except Exception:
            self.error = IngestError(logged_bug("while looking at a source"))
        finally:
            self._reader.close()
            self.ended.set()
            self.hopper.say()

    def _list(self) -> None:
        settings = self._settings
        is_empty = True
        for item in self._reader.list(self._stopped.is_set):
            if isinstance(item, LeftOut):
                self._leave_out(item)
                continue
            is_empty = False
            if isinstance(item, Unlisted):
                self.unlisted.append(item)
            elif _is_wanted(item.uri, settings):
                self.listed[document_id_of(settings.collection, item.uri)] = item
            if len(self.listed) > settings.max_items:
                raise RefusedDocument(
                    f"the source has more than {settings.max_items} items: raise its max_items, or name fewer by "
                    "include and exclude"
                )
        if self._stopped.is_set():
            raise Closed
        if is_empty and self._known and not self._again:
            since = max(item.taken_at for item in self._known.values())
            if not self._reader.may_be_empty(since):
                raise TryAgain(
                    "the source has no items any more, as it is when what it reads is away: nothing is removed. If all "
                    "of them are gone, refresh it with `again`."
                )

    def _leave_out(self, item: LeftOut) -> None:
        if _is_wanted(item.uri, self._settings):
            count, one = self.left_out.get(item.reason, (0, as_uri(item.uri)))
            self.left_out[item.reason] = (count + 1, one)

    def _fetch(self, wanted: Sequence[tuple[str, Listed]]) -> None:
        barred = self._barred([document_id for document_id, _ in wanted])
        failures = 0
        problems: list[Problem] = []
        for document_id, item in wanted:
            if self._stopped.is_set():
                raise Closed
            arrival = self._arrival(document_id, item, barred.get(document_id))
            self.hopper.put(arrival)
            if arrival.problem is not None and document_id not in barred:
                problems.append(arrival.problem)
            passes = arrival.problem is not None and arrival.problem.code == TryAgain.code
            failures = failures + 1 if passes else 0
            if failures == _MOST_FAILURES:
                assert arrival.problem is not None
                raise TryAgain(f"{failures} items one after the other can't be had, the last since {_why(arrival)}")
        if problems and len(problems) == len(self.listed):
            self._raise_for_none(problems)

    def _raise_for_none(self, problems: Sequence[Problem]) -> None:
        """Nothing of the source can be had: that is no matter of single items."""
        passing = [problem for problem in problems if problem.code == TryAgain.code]
        none = "" if len(problems) == 1 else f"none of {len(problems)} items can be had, such as: "
        if passing:
            raise TryAgain(f"{none}{passing[0].detail}")
        if self._settings.kind == "web" and all(problem.code == RefusedDocument.code for problem in problems):
            raise SourceUnusable(f"{none}{problems[0].detail}")

    def _may_have_changed(self, document_id: str, item: Listed) -> bool:
        known = self._known.get(document_id)
        if known is None:
            return True
        if known.state == "erased":
            return False
        return self._again or item.mark is None or item.mark != known.mark

    def _arrival(self, document_id: str, item: Listed, barred: Problem | None) -> Arrival:
        known = self._known.get(document_id)
        shown = replace(item, uri=as_uri(item.uri))
        if barred is not None:
            return Arrival(document_id, shown, problem=barred.model_copy(update={"uri": shown.uri}))
        try:
            if not is_uri(item.uri):
                raise RefusedDocument(
                    f"{shown.uri} is no name for a document: use at most 2048 printable characters in valid UTF-8"
                )
            mark = None if known is None or self._again else known.mark
            return Arrival(document_id, shown, self._reader.fetch(item, mark, self._max_bytes))
        except NotFound:
            return Arrival(document_id, shown)  # it is gone; the next list does without it
        except LeaveOut as reason:
            return Arrival(document_id, shown, left_out=str(reason))
        except (RefusedDocument, TryAgain) as error:
            code, detail = error.code, str(error)
        except IngestError:
            raise  # of the whole source, such as a missing driver
        except Exception:
            code, detail = "internal-error", f"{shown.uri}: {logged_bug('while fetching an item of a source')}"
        return Arrival(document_id, shown, problem=Problem(code=code, detail=detail, uri=shown.uri))


def _why(arrival: Arrival) -> str:
    return "" if arrival.problem is None else arrival.problem.detail


def _is_wanted(uri: str, settings: SourceSettings) -> bool:
    if settings.include and not any(fnmatch.fnmatchcase(uri, pattern) for pattern in settings.include):
        return False
    return not any(fnmatch.fnmatchcase(uri, pattern) for pattern in settings.exclude)
