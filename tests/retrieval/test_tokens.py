from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.tokens import Tokenizer

english = Tokenizer("english")
unstemmed = Tokenizer("none")


def test_words_are_folded_and_stemmed_and_stop_words_dropped() -> None:
    assert english.tokenize("The Routers were routing it to a router.") == ["router", "were", "rout", "router"]


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("german", "Die Häuser, das Haus und die Größe über", ["haus", "haus", "gross"]),
        ("french", "Les pompes déplacent de l'eau dans la cuve", ["pomp", "déplacent", "eau", "cuv"]),
        ("russian", "Насос и насосы в воде", ["насос", "насос", "вод"]),  # noqa: RUF001
        ("tamil", "x and y", ["x", "and", "y"]),  # there is no list
    ],
)
def test_other_languages_are_stemmed_and_lose_their_own_stop_words(language: str, text: str, terms: list[str]) -> None:
    assert Tokenizer(language).tokenize(text) == terms


def test_the_identity_names_the_list_of_stop_words() -> None:
    assert "stop-words-" in Tokenizer("german").identity
    assert "stop-words-" not in english.identity + Tokenizer("tamil").identity


def test_none_neither_stems_nor_drops() -> None:
    assert unstemmed.tokenize("The Routers were running") == ["the", "routers", "were", "running"]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (
            "response_model_exclude_unset",
            ["response_model_exclude_unset", "response", "model", "exclude", "unset"],
        ),
        (
            "FastAPI.include_router",
            ["fastapi.include_router", "fastapi", "fast", "api", "include_router", "include", "router"],
        ),
        ("HTTPException", ["httpexception", "http", "exception"]),
        ("OAuth2PasswordBearer", ["oauth2passwordbearer", "oauth2", "password", "bearer"]),
        ("__init__", ["__init__", "init"]),
        ("std::vector", ["std::vector", "std", "vector"]),
        ("--no-cache-dir", ["no-cache-dir", "no", "cache", "dir"]),
        ("1.2.3", ["1.2.3", "1", "2", "3"]),
        ("sha256", ["sha256"]),
        ("C++ C# c", ["c++", "c", "c#", "c", "c"]),
        ("issue#12", ["issue", "12"]),
    ],
)
def test_identifier_gives_the_whole_and_its_parts(identifier: str, expected: list[str]) -> None:
    assert unstemmed.tokenize(identifier) == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("response_model_exclude_unset", "Set `response_model_exclude_unset=True` there."),
        ("exclude unset", "Set `response_model_exclude_unset=True` there."),
        ("FastAPI.include_router", "call FastAPI.include_router(router)"),
        ("include_router", "call FastAPI.include_router(router)"),
        ("including routers", "call FastAPI.include_router(router)"),
        ("fastapi", "call FastAPI.include_router(router)"),
        ("httpexception", "raise HTTPException(404)"),
        ("HTTP exceptions", "raise HTTPException(404)"),
    ],
)
def test_identifiers_are_found_by_the_whole_and_by_parts(query: str, text: str) -> None:
    assert set(english.tokenize(query)) <= set(english.tokenize(text))


def test_joined_wholes_are_not_stemmed() -> None:
    assert english.tokenize("get_users")[0] == "get_users"
    assert english.tokenize("get_user")[0] == "get_user"


def test_a_sentence_end_joins_nothing() -> None:
    assert unstemmed.tokenize("the end. Begin... again") == ["the", "end", "begin", "again"]


def test_possessives_are_cut_off() -> None:
    assert unstemmed.tokenize("the user's name, the user\u2019s name") == ["the", "user", "name"] * 2


def test_compatibility_forms_are_made_equal() -> None:
    assert unstemmed.tokenize("\uff26\uff21\uff33\uff34 \ufb01le Stra\u00dfe co\u00adop") == [
        "fast",
        "file",
        "strasse",
        "coop",
    ]


def test_vowel_signs_do_not_cut_words() -> None:
    assert unstemmed.tokenize("हिन्दी में खोज") == ["हिन्दी", "में", "खोज"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("東京都", ["東京", "京都"]),
        ("ひらがな", ["ひら", "らが", "がな"]),
        ("タワー", ["タワ", "ワー"]),
        ("水", ["水"]),
        ("東京、大阪", ["東京", "大阪"]),
        ("Python教程3", ["python", "教程", "3"]),
        ("ไทย", ["ไท", "ทย"]),
        ("ລາວ", ["ລາ", "າວ"]),
        ("ខ្មែរ", ["ខ្", "្ម", "មែ", "ែរ"]),
        ("𠀀𠀁𠀂", ["𠀀𠀁", "𠀁𠀂"]),
    ],
)
def test_scripts_without_spaces_give_bigrams(text: str, expected: list[str]) -> None:
    assert english.tokenize(text) == expected


def test_no_words_give_no_terms() -> None:
    for text in ("", "  \n", "... --- ___ ?!", "🙂❤️"):
        assert english.tokenize(text) == []


def test_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'klingon'.*english"):
        Tokenizer("klingon")


@given(st.text())
def test_any_text_gives_terms_without_spaces(text: str) -> None:
    for term in english.tokenize(text):
        assert term
        assert term == "".join(term.split())
