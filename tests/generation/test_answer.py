from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from generation.admission import Admission
from generation.answer import Answerer
from generation.config import GenerationSettings
from generation.errors import AnswerNotFound, BadQuestion, ModelFailed, QueueFull
from generation.language_models.scripted import ScriptedLanguageModel
from generation.store import AnswerStore
from generation.types import (
    Answer,
    AnswerEvent,
    Ask,
    Claim,
    Done,
    DraftPiece,
    Evidence,
    Faithfulness,
    PassagesFound,
    VerdictReached,
    Verification,
)
from ingest.catalog.catalog import Catalog
from ingest.config import IngestSettings
from ingest.extraction.process import ReadHere
from ingest.originals import Originals
from ingest.pipeline import IncomingFile, Ingestion
from ingest.worker import Worker
from retrieval.config import RetrievalSettings
from retrieval.engines import dense_half, lexical_half
from retrieval.errors import EmptyIndex
from retrieval.hash_embedder import HashEmbedder
from retrieval.live import LiveIndex, Serving
from retrieval.search import Searcher
from retrieval.snapshots import HybridIndex
from retrieval.tokens import Tokenizer
from retrieval.types import Passage

pytestmark = pytest.mark.anyio
TRUE, FALSE = "The pump weighs 11 kg.", "The pump weighs 99 kg."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SubstringVerifier:
    """A verifier that any reader can check: the whole text is one claim, supported when a passage holds it."""

    name = "substring"

    def verify(self, question: str, text: str, passages: Sequence[Passage]) -> Verification:
        if not text or "know" in text:
            unscored = Faithfulness(score=None, verdict=None, scored=False, reason="no claims", verifier=self.name)
            return Verification(claims=(), faithfulness=unscored)
        for passage in passages:
            if text in passage.text:
                start = passage.start + passage.text.index(text)
                place = Evidence(
                    document_id=passage.document_id, version=passage.version, start=start, end=start + len(text)
                )
                return self._judged(text, place)
        return self._judged(text, None)

    def _judged(self, text: str, place: Evidence | None) -> Verification:
        verdict, score = ("supported", 1.0) if place else ("not_found", 0.0)
        claim = Claim.model_validate(
            {"text": text, "start": 0, "end": len(text), "verdict": verdict, "score": score, "evidence": place}
        )
        whole = {"score": score, "verdict": verdict, "scored": True, "verifier": self.name}
        return Verification(claims=(claim,), faithfulness=Faithfulness.model_validate(whole))


class House:
    """An answerer over one small document."""

    def __init__(self, folder: Path, model: ScriptedLanguageModel, *, queue_size: int = 1, **settings: object) -> None:
        self.catalog = Catalog.in_folder(folder)
        embedder, tokenizer = HashEmbedder(), Tokenizer("english")
        ingestion = Ingestion(self.catalog, Originals(folder / "originals"), embedder, IngestSettings(), ReadHere())
        ingestion.submit([IncomingFile("pump.md", "pump.md", TRUE.encode())], "default", {})
        Worker(ingestion).work_off()
        found = RetrievalSettings()
        halves = dense_half(embedder.space, found, None), lexical_half(found, tokenizer, None)
        index = HybridIndex(self.catalog, embedder.space, *halves, tokenizer)
        self.model = model
        self.store = AnswerStore(self.catalog)
        self.answerer = Answerer(
            searcher=Searcher(self.catalog, LiveIndex(self.catalog, lambda _: Serving(index, lambda: embedder)), found),
            model=model,
            verifier=SubstringVerifier(),
            is_abstention=lambda text: "don't know" in text,
            tokenize=tokenizer.tokenize,
            admission=Admission(1, queue_size),
            store=self.store,
            settings=GenerationSettings.model_validate(settings),
            release=lambda: "r-test",
        )

    def events(self, question: str = "How heavy is the pump?") -> AsyncIterator[AnswerEvent]:
        return self.answerer.answer(Ask(question=question))

    async def answer(self, question: str = "How heavy is the pump?") -> Answer:
        async with aclosing(self.answerer.answer(Ask(question=question))) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.answer
        raise AssertionError("no answer")


async def test_a_supported_answer_is_cited_verified_and_stored(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedLanguageModel([f"{TRUE} [1]"]))
    answer = await house.answer()
    assert answer.text == f"{TRUE} [1]"
    assert not answer.abstained
    assert answer.faithfulness.verdict == "supported"
    (citation,) = answer.citations
    text = house.catalog.version_text(citation.document_id, citation.version)
    assert text[citation.start : citation.end] == citation.quote == TRUE
    assert (answer.release, answer.revision, answer.seed) == ("r-test", 1, 0)
    assert answer.usage.completion_tokens == 6
    assert answer.timings_ms.total is not None
    assert house.store.get(answer.answer_id) == answer


async def test_what_streams_is_a_draft_and_the_answer_comes_last(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedLanguageModel([f"{TRUE} [1]"]))
    events = [event async for event in house.events()]
    kinds = [type(event) for event in events]
    assert kinds[0] is PassagesFound
    assert kinds[-2:] == [VerdictReached, Done]
    pieces = [event.text for event in events if isinstance(event, DraftPiece)]
    assert "".join(pieces) == f"{TRUE} [1]"
    assert len(pieces) > 1


async def test_an_unsupported_answer_is_not_passed_off_as_one(tmp_path: Path) -> None:
    answer = await House(tmp_path, ScriptedLanguageModel([f"{FALSE} [1]"])).answer()
    assert answer.abstained
    assert FALSE not in answer.text
    assert "pump.md" in answer.text
    assert answer.citations == ()
    assert answer.draft == f"{FALSE} [1]"
    assert answer.checked_text is not None
    claim = answer.claims[0]
    assert (claim.verdict, answer.checked_text[claim.start : claim.end]) == ("not_found", FALSE)
    assert "do not say" in answer.notes[0]


async def test_annotating_keeps_the_text_and_says_what_is_wrong(tmp_path: Path) -> None:
    answer = await House(tmp_path, ScriptedLanguageModel([FALSE]), unsupported="annotate").answer()
    assert not answer.abstained
    assert answer.text == FALSE
    assert answer.faithfulness.verdict == "not_found"
    assert any("not every statement" in note for note in answer.notes)


async def test_a_model_that_does_not_know_abstains_unscored(tmp_path: Path) -> None:
    answer = await House(tmp_path, ScriptedLanguageModel(["I don't know."]), unsupported="annotate").answer()
    assert answer.abstained
    assert (answer.faithfulness.scored, answer.faithfulness.score) == (False, None)
    assert answer.draft == "I don't know."
    assert "found no answer" in answer.notes[0]


async def test_held_text_is_not_shown_before_its_verdict(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedLanguageModel([TRUE]), hold_until_verdict=True)
    kinds = [type(event) async for event in house.events()]
    assert kinds == [PassagesFound, VerdictReached, Done]


async def test_a_full_queue_turns_callers_away_and_a_caller_who_leaves_frees_the_place(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    house = House(tmp_path, ScriptedLanguageModel([TRUE], go_on=go_on), queue_size=0)
    first = asyncio.create_task(house.answer())
    while not house.model.running:
        await asyncio.sleep(0.01)
    with pytest.raises(QueueFull) as refusal:
        await house.answer()
    assert refusal.value.retry_after_s >= 1
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (house.model.running, house.model.abandoned) == (0, 1)
    go_on.set()
    assert (await house.answer()).text == f"{TRUE} [1]"


async def test_closing_the_events_early_stops_the_model(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedLanguageModel([TRUE]))
    async with aclosing(house.answerer.answer(Ask(question="How heavy?"))) as events:
        async for event in events:
            if isinstance(event, DraftPiece):
                break
    assert (house.model.running, house.model.abandoned) == (0, 1)
    assert (house.answerer.admission.serving, house.answerer.admission.waiting) == (0, 0)


async def test_a_failing_model_stores_nothing_and_frees_its_place(tmp_path: Path) -> None:
    model = ScriptedLanguageModel([TRUE], fail_with=ModelFailed("the server broke off"), fail_after=2)
    house = House(tmp_path, model)
    with pytest.raises(ModelFailed, match="broke off"):
        await house.answer()
    assert house.answerer.admission.serving == 0
    assert house.catalog.counts()["documents"] == 1


@pytest.mark.parametrize("question", ["", "  \n"])
async def test_an_empty_question_is_refused(tmp_path: Path, question: str) -> None:
    with pytest.raises(BadQuestion, match="empty"):
        await House(tmp_path, ScriptedLanguageModel([TRUE])).answer(question)


async def test_an_empty_collection_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path, ScriptedLanguageModel([TRUE]))
    with pytest.raises(EmptyIndex, match="upload"):
        await anext(house.answerer.answer(Ask(question="How heavy?", collection="other")))


async def test_an_unknown_answer_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(AnswerNotFound):
        House(tmp_path, ScriptedLanguageModel([TRUE])).store.get("a-none")
