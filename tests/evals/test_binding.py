from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.binding import misbound_names, misbound_numbers, name_phrases, tell

PUMPS = ["The small pump weighs 11 kg.", "The large pump weighs 22 kg."]
BOATS = ["The Dipper 40 was built by Anna Berg.", "The Dipper 65 was built by Carl Dorn."]
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("The large pump weighs 11 kg.", [("11", "22", 1)]),
        ("The small pump weighs 22 kg.", [("22", "11", 0)]),
        ("The large pump weighs 22 kg.", []),
        ("The pump weighs 22 kg.", []),
        ("The large pump weighs 33 kg.", []),  # in no sentence: missing, not misbound
        ("The large pump is heavy.", []),
    ],
)
def test_number_of_another_subject_is_misbound(claim: str, found: list[tuple[str, str, int]]) -> None:
    assert [(m.said, m.found, m.sentence) for m in misbound_numbers(claim, tell(PUMPS, NONE))] == found


@pytest.mark.parametrize(
    ("claim", "sentences"),
    [
        ("The large pump weighs 11 kg without oil.", ["The large pump weighs 22 kg with oil.", "It weighs 11 kg dry."]),
        (
            "The large pump was sold in 1995.",
            ["The large pump was built in 1990.", "The sale was in 1995; it sold well."],
        ),
        ("The large pump needs 5 bar.", ["The large pump weighs 22 kg.", "5 bar are needed."]),
    ],
)
def test_number_of_a_sentence_that_goes_on_about_the_subject_is_not_misbound(claim: str, sentences: list[str]) -> None:
    assert misbound_numbers(claim, tell(sentences, NONE)) == []


def test_name_of_another_subject_is_misbound() -> None:
    told = tell(BOATS, NONE)
    [conflict] = misbound_names("The Dipper 40 was built by Carl Dorn.", told)
    assert (conflict.said, conflict.found, conflict.sentence) == ("Carl Dorn", "Anna Berg", 0)
    assert misbound_names("The Dipper 40 was built by Anna Berg.", told) == []


def test_names_of_sentences_of_another_form_are_not_misbound() -> None:
    told = tell(["The Dipper 40 was launched at Kiel in spring.", "Many boats were built by the late Carl Dorn."], NONE)
    assert misbound_names("The Dipper 40 was built by Carl Dorn in spring.", told) == []


def test_words_of_titles_and_of_the_sentence_before_a_pronoun_count() -> None:
    first, second = tell(["The pump is new.", "It weighs 5 kg."], frozenset({"aqua"}))
    assert first.stems == {"pump", "new", "aqua"}
    assert second.stems == {"weigh", "5", "kg", "aqua", "pump", "new"}


def test_names_that_follow_one_another_are_one() -> None:
    assert name_phrases("It was built by Anna Berg in Kiel.") == ["Anna Berg", "Kiel"]


@given(st.text(max_size=60))
def test_no_text_is_misbound_in_itself(text: str) -> None:
    told = tell([text], NONE)
    assert misbound_numbers(text, told) == []
    assert misbound_names(text, told) == []
