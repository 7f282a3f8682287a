"""The in-tree fake language model."""

from __future__ import annotations

import asyncio

import pytest

from generation.errors import BadQuestion, ModelFailed
from generation.language_models.scripted import ScriptedLanguageModel, token_id, words
from generation.types import LanguageModel, Message, Piece, Sampling

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def said(model: LanguageModel, question: str = "why?", max_tokens: int = 100) -> list[Piece]:
    prompt = await model.prepare([Message("user", question)])
    return [piece async for piece in model.stream(prompt, Sampling(max_tokens))]


async def test_replies_come_in_turn_and_the_last_one_again() -> None:
    model = ScriptedLanguageModel(["one two", "three"])
    texts = ["".join(piece.text for piece in await said(model)) for _ in range(3)]
    assert texts == ["one two", "three", "three"]


async def test_words_are_streamed_and_the_last_piece_has_finish_and_count() -> None:
    pieces = await said(ScriptedLanguageModel(["It is  so.\n"]))
    assert [piece.text for piece in pieces] == ["It", " is", "  so.", "\n", ""]
    assert pieces[0].token_ids == (token_id("It"),)
    assert (pieces[-1].finish, pieces[-1].completion_tokens) == ("stop", 4)


async def test_max_tokens_cuts_the_reply() -> None:
    pieces = await said(ScriptedLanguageModel(["one two three"]), max_tokens=2)
    assert "".join(piece.text for piece in pieces) == "one two"
    assert (pieces[-1].finish, pieces[-1].completion_tokens) == ("length", 2)


async def test_a_function_of_the_messages_replies() -> None:
    model = ScriptedLanguageModel(lambda messages: messages[-1].content.upper())
    assert (await said(model, "really"))[0].text == "REALLY"


async def test_what_it_was_asked_is_kept() -> None:
    model = ScriptedLanguageModel(["yes"])
    await said(model, "is it so?", max_tokens=7)
    assert model.prompts[0].messages == (Message("user", "is it so?"),)
    assert model.prompts[0].n_tokens == 4 == len(model.prompts[0].token_ids or ())
    assert model.samplings == [Sampling(7)]
    assert await model.count_tokens("is it so?") == 3


async def test_it_waits_for_its_events() -> None:
    ready, go_on = asyncio.Event(), asyncio.Event()
    model = ScriptedLanguageModel(["one two"], ready=ready, go_on=go_on)
    prompt = await model.prepare([Message("user", "?")])
    stream = model.stream(prompt, Sampling(10))
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not first.done() and model.running == 1
    ready.set()
    assert (await first).text == "one"
    second = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    assert (await second).text == " two"
    await stream.aclose()
    assert (model.running, model.completed, model.abandoned) == (0, 0, 1)


async def test_it_fails_after_the_given_pieces() -> None:
    model = ScriptedLanguageModel(["one two"], fail_with=ModelFailed("broke off"), fail_after=1)
    prompt = await model.prepare([Message("user", "?")])
    seen = []
    with pytest.raises(ModelFailed, match="broke off"):
        async for piece in model.stream(prompt, Sampling(10)):
            seen.append(piece.text)
    assert seen == ["one"]
    assert (model.running, model.completed, model.abandoned) == (0, 0, 1)


async def test_a_prompt_over_its_context_is_refused() -> None:
    with pytest.raises(BadQuestion, match="context 3"):
        await said(ScriptedLanguageModel(["x"], context_tokens=3), "one two three")


async def test_no_replies_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ScriptedLanguageModel([])
    with pytest.raises(ValueError, match="sequence"):
        ScriptedLanguageModel("one text")


async def test_words_join_to_the_text() -> None:
    for text in ("", " a  b ", "\n", "x\n\ny"):
        assert "".join(words(text)) == text
