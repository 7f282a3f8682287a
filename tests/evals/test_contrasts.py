from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.contrasts import exchanged, foreign_markup, opposite_words, strength_differs


@pytest.mark.parametrize(
    ("claim", "sentence", "pair"),
    [
        ("Turn the key to the right.", "Turn the key to the left.", ("right", "left")),
        ("Dogs are prohibited on the lawn.", "Dogs are permitted on the lawn.", ("prohibited", "permitted")),
        ("The shop is closed on Sundays.", "The shop is open on Sundays.", ("closed", "open")),
        ("Switch the pump on at night.", "Switch the pump off at night.", ("on", "off")),
        ("The lamp turns red at once.", "The lamp turns green at once.", ("red", "green")),
        ("The shop opens on Monday.", "The shop opens on Friday.", ("monday", "friday")),
        ("The test is unreliable for adults.", "The test is reliable for adults.", ("unreliable", "reliable")),
        ("Turn the key to the left.", "Turn the key to the left.", None),
        ("The door is on the left side of the hall.", "Turn right.", None),
        ("Turn the large key.", "Turn the key to the small door.", None),
        ("Dogs are allowed on the lawn.", "Dogs are permitted on the lawn.", None),
    ],
)
def test_opposite_in_the_place_of_a_word_is_found(claim: str, sentence: str, pair: tuple[str, str] | None) -> None:
    assert opposite_words(claim, sentence) == pair


@pytest.mark.parametrize(
    ("claim", "sentence", "differs"),
    [
        ("Guests must pay cash.", "Guests may pay cash.", True),
        ("Guests must pay cash.", "Guests should pay cash.", True),
        ("Guests may pay cash.", "Guests must pay cash.", True),
        ("Guests should pay cash.", "Guests must pay cash.", False),
        ("Guests can pay cash.", "Guests may pay cash.", False),
        ("Some guests pay cash.", "All guests pay cash.", True),
        ("Every guest pays cash.", "All guests pay cash.", False),
        ("Guests pay cash only.", "Guests pay cash or by card.", True),
        ("Guests pay cash only.", "Guests pay in cash alone.", False),
        ("Only birds sing here.", "The shop sells bread and milk.", False),
        ("", "", False),
    ],
)
def test_strength_differs_where_a_modal_quantifier_or_only_does(claim: str, sentence: str, differs: bool) -> None:
    assert strength_differs(claim, sentence) is differs


@pytest.mark.parametrize(
    ("claim", "sentence", "pair"),
    [
        ("It rose from 20 to 10 euros.", "It rose from 10 to 20 euros.", ("20", "10")),
        ("Carl Dorn sued Anna Berg.", "In May Anna Berg sued Carl Dorn.", ("Carl Dorn", "Anna Berg")),
        (
            "It covers seals and excludes the motor.",
            "It covers the motor and excludes seals.",
            None,
        ),  # "the" is in the way
        ("It covers seals and excludes motors.", "It covers motors and excludes seals.", ("seals", "motors")),
        ("It has the copper, zinc and the iron.", "It has the iron, zinc and the copper.", None),
        ("It has copper, zinc and iron.", "It has iron, zinc and copper.", None),
        ("It began on March 5.", "It began on 5 March.", None),
        ("Carl was sued by Anna.", "Anna sued Carl.", None),
        ("It rose to 20 euros.", "It rose from 10 to 20 euros.", None),
    ],
)
def test_two_things_in_each_others_place_are_found(claim: str, sentence: str, pair: tuple[str, str] | None) -> None:
    assert exchanged(claim, sentence) == pair


@pytest.mark.parametrize(
    ("claim", "evidence", "markup"),
    [
        ("<script>alert(1)</script> It weighs 11 kg.", "It weighs 11 kg.", "<script>"),
        ("It is <B>heavy</B>.", "It is <b>heavy</b>.", None),
        ("It\x1b weighs 11 kg.", "It weighs 11 kg.", "\x1b"),
        ("It\u202e weighs 11 kg.", "It weighs 11 kg.", "\u202e"),
        ("If a < b and c > d, see <https://example.org>.", "", None),
        ("It\tweighs\n11\u00a0kg.", "", None),
    ],
)
def test_tags_and_control_characters_that_no_passage_has_are_found(
    claim: str, evidence: str, markup: str | None
) -> None:
    assert foreign_markup(claim, evidence) == markup


@given(st.text(max_size=60), st.text(max_size=60))
def test_contrasts_take_any_text_and_find_no_fault_with_itself(claim: str, sentence: str) -> None:
    assert (opposite_words(claim, claim), exchanged(claim, claim), foreign_markup(claim, claim)) == (None, None, None)
    assert not strength_differs(claim, claim)
    pair = exchanged(claim, sentence)
    assert pair is None or all(part in claim.translate({0x2019: "'"}) for part in pair)
