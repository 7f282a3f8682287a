"""A refresh of a source under way: what it has found so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ingest import source_items
from ingest.errors import TryAgain
from ingest.jobs.uploads import Upload
from ingest.source_items import Item, Taken
from ingest.sources.fetching import Fetching
from ingest.sources.register import OTHER_SOURCE
from ingest.sources.types import LastRun, SourceInfo
from ingest.types import DocumentOutcome, Problem

# What can be otherwise the next time although the item is as it was.
_PASSING = frozenset((TryAgain.code, "internal-error", OTHER_SOURCE))
# So many parts that can't be listed are told one by one.
_MOST_UNLISTED = 20


@dataclass
class Run:
    """A refresh under way. It outlives the turns of its job: the source goes on being fetched between them."""

    job_id: str
    again: bool
    source: SourceInfo
    known: dict[str, Item]
    fetching: Fetching
    said: LastRun
    moved: dict[str, Item] = field(default_factory=dict)  # gone items by the hash of their content
    is_looked_at: bool = False
    left: tuple[Upload, ...] = ()  # stored, and not ingested yet
    taken: dict[str, Taken] = field(default_factory=dict)  # of those at hand, by document
    states: dict[str, str] = field(default_factory=dict)  # of all that was fetched, by document
    unsaid: list[Problem] = field(default_factory=list)  # problems that the job does not tell of yet
    left_out: dict[str, str] = field(default_factory=dict)  # why fetched items are, by document
    of_others: dict[str, tuple[int, str]] = field(default_factory=dict)  # whose: how many documents, and one of them
    batch: str | None = None  # what it brings is staged there, since it could be a shift
    staged: list[DocumentOutcome] = field(default_factory=list)  # outcomes that are noted when the batch is settled

    def gone(self) -> list[Item]:
        """Items that the source surely has no more."""
        if self.source.settings.keep_missing:
            return []
        unknown = tuple(its.prefix for its in self.fetching.unlisted)
        return [
            item
            for its, item in self.known.items()
            if (its not in self.fetching.listed or its in self.left_out)
            and item.state not in (source_items.ERASED, source_items.KEPT)
            and not item.uri.startswith(unknown)
        ]

    def kept_of(self, outcome: DocumentOutcome) -> Taken:
        """What is kept of an item: no mark by which it would be passed over, when it can be otherwise the next time."""
        taken = self.taken.pop(outcome.document_id)
        passing = outcome.problem is not None and outcome.problem.code in _PASSING
        return replace(taken, mark=None) if passing else taken

    def not_listed(self) -> Problem | None:
        """What of the source could not be seen."""
        unlisted = self.fetching.unlisted
        if not unlisted:
            return None
        more = f" (and {len(unlisted) - 1} more)" if len(unlisted) > 1 else ""
        return Problem(code="not-listed", detail=f"{unlisted[0].reason}{more} What was in it before stays.")

    def progress(self) -> tuple[int, int]:
        """How many are done of the items that are new or may have changed."""
        return min(len(self.states), self.fetching.to_fetch), self.fetching.to_fetch

    def note_of_others(self, outcomes: Sequence[DocumentOutcome]) -> None:
        """Counts items that are documents of other sources: the register has no row for them."""
        for its in outcomes:
            if its.problem is not None and its.problem.code == OTHER_SOURCE:
                count, one = self.of_others.get(its.problem.detail, (0, its.uri))
                self.of_others[its.problem.detail] = (count + 1, one)

    def notes(self) -> tuple[str, ...]:
        """Why items are left out, or are another source's: each reason with how many there are, and one of them."""
        found = dict(self.fetching.left_out)
        for its, reason in self.left_out.items():
            count, one = found.get(reason, (0, self.fetching.listed[its].uri))
            found[reason] = (count + 1, one)
        left_out = [f"left out: {count} {reason}, such as {one}" for reason, (count, one) in found.items()]
        of_others = [f"failed: {count}, such as {one}: {why}" for why, (count, one) in self.of_others.items()]
        # The first one is told by `not_listed`.
        unlisted = [f"not listed: {its.reason}" for its in self.fetching.unlisted[1:_MOST_UNLISTED]]
        return (*left_out, *of_others, *unlisted)

    def counts(self) -> dict[str, int]:
        """What became of the items so far."""
        counted = Counter(self.states.values())
        listed = len(self.fetching.listed)
        return {
            "listed": listed - len(self.left_out),
            "left_out": len(self.left_out) + sum(count for count, _ in self.fetching.left_out.values()),
            "taken": counted["indexed"],
            "failed": counted["failed"],
            "quarantined": counted["quarantined"],
            "unchanged": listed - self.fetching.to_fetch + counted["unchanged"],
        }
