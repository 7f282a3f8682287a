"""Any llama-index LLM, with llama-index's own mock and the tests' `CapitalLLM`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from generation.config import LlamaIndexSettings
from generation.errors import MissingExtra, ModelFailed, ModelLoading, ModelUnavailable
from generation.language_models.llama_index import LlamaIndexModel
from generation.types import Message, Piece, Sampling

pytestmark = pytest.mark.anyio

MOCK = "llama_index.core.llms.MockLLM"
CAPITAL = "capital_llm.CapitalLLM"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def closed_streams() -> list[str]:
    import capital_llm

    return capital_llm.closed_streams


async def said(model: LlamaIndexModel, question: str, sampling: Sampling) -> list[Piece]:
    prompt = await model.prepare([Message("system", "be brief"), Message("user", question)])
    return [piece async for piece in model.stream(prompt, sampling)]


async def test_llama_indexs_own_mock_answers() -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=MOCK))
    await model.start()
    pieces = await said(model, "why?", Sampling(3))
    assert "".join(piece.text for piece in pieces) == "text text text"  # max_tokens reached it
    assert (pieces[-1].text, pieces[-1].finish, pieces[-1].token_ids) == ("", "stop", ())
    assert model.context_tokens == 3900
    await model.aclose()


async def test_sampling_reaches_the_fields_that_the_class_has() -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=CAPITAL))
    pieces = await said(model, "why so", Sampling(50, temperature=0.25))
    assert "".join(piece.text for piece in pieces) == "WHY SO AT 0.25 "
    assert pieces[-1].finish == "stop"


async def test_an_llm_without_max_tokens_is_stopped_here() -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=CAPITAL))
    pieces = await said(model, "one two three four", Sampling(2))
    assert [piece.text for piece in pieces] == ["ONE ", "TWO ", ""]
    assert pieces[-1].finish == "length"
    assert closed_streams().count("one two three four") == 1


async def test_closing_the_stream_closes_the_llms() -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=CAPITAL))
    prompt = await model.prepare([Message("user", "one two three")])
    stream = model.stream(prompt, Sampling(50))
    assert (await anext(stream)).text == "ONE "
    assert "one two three" not in closed_streams()
    await stream.aclose()
    assert "one two three" in closed_streams()


async def test_control_tokens_in_data_are_defused() -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=CAPITAL))
    pieces = await said(model, "<|im_end|>", Sampling(50))
    assert pieces[0].text + pieces[1].text == "< |IM_END|> "


async def test_an_error_of_the_llm_is_told_without_its_key() -> None:
    arguments = {"fails": True, "api_key": "sk-hidden"}
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=CAPITAL, arguments=arguments))
    with pytest.raises(ModelFailed, match=r"CapitalLLM failed: ConnectionError: refused \*\*\*") as failure:
        await said(model, "why", Sampling(5))
    assert "sk-hidden" not in str(failure.value)


async def test_context_comes_from_settings_or_metadata() -> None:
    settings = LlamaIndexSettings(kind="llama-index", class_path=CAPITAL)
    model = LlamaIndexModel(settings)
    with pytest.raises(ModelLoading, match="not loaded yet"):
        _ = model.context_tokens
    await model.start()
    assert model.context_tokens == 1234
    assert LlamaIndexModel(settings.model_copy(update={"context_tokens": 500})).context_tokens == 500


async def test_name_is_the_model_or_the_class() -> None:
    named = LlamaIndexSettings(kind="llama-index", class_path=MOCK, arguments={"model": "llama3"})
    assert LlamaIndexModel(named).name == "llama3"
    assert LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=MOCK)).name == MOCK


@pytest.mark.parametrize(
    ("class_path", "error", "says"),
    [
        ("llama_index.llms.no_such_vendor.Chat", MissingExtra, "pip install llama-index-llms-no-such-vendor"),
        ("no_such_package.llm.Chat", MissingExtra, "install the package that provides no_such_package"),
        ("llama_index.core.llms.NoSuchLLM", ModelUnavailable, "llama_index.core.llms has no class NoSuchLLM"),
        ("pathlib.Path", ModelUnavailable, "pathlib.Path is not a llama-index LLM"),
        ("llama_index.core.llms.ChatMessage", ModelUnavailable, "is not a llama-index LLM"),
        ("JustAName", ModelUnavailable, "package.module.Class"),
    ],
)
async def test_a_class_that_cannot_be_used_is_explained(class_path: str, error: type[Exception], says: str) -> None:
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path=class_path))
    with pytest.raises(error, match=says.replace(".", r"\.")):
        await model.start()


async def test_arguments_that_do_not_fit_are_explained_without_secrets() -> None:
    arguments = {"api_key": "sk-hidden", "max_tokens": "sk-hidden"}
    settings = LlamaIndexSettings(kind="llama-index", class_path=MOCK, arguments=arguments)
    with pytest.raises(ModelUnavailable, match="can't be made from the given arguments") as failure:
        await LlamaIndexModel(settings).start()
    assert "sk-hidden" not in str(failure.value)


async def test_a_module_missing_inside_the_llms_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llm_of_a_test.py").write_text("import a_module_nobody_has" + os.linesep)
    monkeypatch.syspath_prepend(tmp_path)
    model = LlamaIndexModel(LlamaIndexSettings(kind="llama-index", class_path="llm_of_a_test.Chat"))
    with pytest.raises(MissingExtra, match="needs the module a_module_nobody_has"):
        await model.start()
