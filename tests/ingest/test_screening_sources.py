"""Signatures of documents, floods of near copies, and sources that are not what they were."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.config import ScreeningSettings
from ingest.screening.minhash import BANDS, bands, signature, similarity
from ingest.screening.shift import Changed, SourceChange, flood, shifts

POLICY = ScreeningSettings()
WORDS = [f"{first}{second}{last}" for first in "bdfgkl" for second in "aeiou" for last in "mnrst"]
KEPT = Changed(1000, 1100, 0.8)
EMPTIED = Changed(1000, 100, 0.1)
REPLACED = Changed(1000, 1000, 0.0)


def prose(seed: int, words: int = 400) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def jaccard(left: str, right: str) -> float:
    sets = [{tuple(words[at : at + 5]) for at in range(len(words) - 4)} for words in (left.split(), right.split())]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def edited(text: str, seed: int, share: float) -> str:
    rng = random.Random(seed)
    return " ".join("changed" if rng.random() < share else word for word in text.split())


def test_signatures_are_the_same_for_ever() -> None:
    """They are stored: another number here needs a migration that computes all of them again."""
    found = signature("Newts hunt at night, and sleep under stones through the winter.")
    assert (len(found), found[:12].hex()) == (512, "ae66fc522b0b02096ced6618")
    assert bands(found)[:2] == (7377029325428674334, 7542842017090135254)
    command = "from ingest.screening.minhash import signature; print(signature('Newts hunt at night').hex())"
    printed = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == signature("Newts hunt at night").hex()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.06, 0.15, 1.0])
def test_similarity_estimates_the_jaccard_index(share: float) -> None:
    errors = []
    for seed in range(20):
        text = prose(seed)
        other = edited(text, seed + 1, share)
        errors.append(similarity(signature(text), signature(other)) - jaccard(text, other))
    assert max(map(abs, errors)) < 0.15
    assert abs(sum(errors) / len(errors)) < 0.03


def test_near_copies_share_a_band_and_others_do_not() -> None:
    texts = [prose(seed) for seed in range(60)]
    keys = [set(bands(signature(text))) for text in texts]
    copies = [set(bands(signature(edited(text, seed, 0.02)))) for seed, text in enumerate(texts)]
    assert all(its & other for its, other in zip(keys, copies, strict=True))
    assert not any(keys[left] & keys[right] for left in range(60) for right in range(left))
    assert all(len(its) == BANDS and min(its) >= 0 and max(its) < 2**63 for its in keys)


def test_layout_case_and_punctuation_do_not_count_but_order_does() -> None:
    assert signature("Newts hunt, at NIGHT; they sleep.") == signature("newts hunt at\nnight - they sleep")
    assert signature("newts hunt at night they sleep") != signature("they sleep newts hunt at night")


def test_texts_without_words_are_like_nothing() -> None:
    assert signature("... !") == signature("") == b""
    assert bands(b"") == ()
    assert similarity(b"", b"") == similarity(b"", signature("newt")) == 0.0


@given(st.text(max_size=200))
def test_every_text_has_a_signature_that_is_like_itself(text: str) -> None:
    found = signature(text)
    assert len(found) in (0, 512)
    assert not found or similarity(found, found) == 1.0


def test_a_flood_is_many_near_copies() -> None:
    text = prose(1)
    copies = [signature(edited(text, seed, 0.005)) for seed in range(25)]
    others = [signature(prose(seed)) for seed in range(100, 150)]
    found = flood(signature(text), [*copies, *others], POLICY)
    assert found is not None and found.kind == "flood" and "25 other documents" in found.reason
    assert flood(signature(text), [*copies[:19], *others], POLICY) is None
    assert flood(b"", [b""] * 100, POLICY) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (SourceChange(20, 0, 0, [EMPTIED] * 10), "emptied"),
        (SourceChange(20, 0, 0, [REPLACED] * 10), "another text"),
        (SourceChange(20, 0, 15, []), "are gone"),
        (SourceChange(20, 0, 5, [EMPTIED] * 3 + [REPLACED] * 3), "emptied, replaced or removed"),
        (SourceChange(20, 60, 0, []), "came new"),
        (SourceChange(3, 0, 3, []), "are gone"),
    ],
)
def test_a_source_that_is_not_what_it_was_is_found(change: SourceChange, said: str) -> None:
    findings = shifts(change, POLICY)
    assert any(said in finding.reason for finding in findings)
    assert {finding.kind for finding in findings} == {"shift"}


@pytest.mark.parametrize(
    "change",
    [
        SourceChange(0, 500, 0, []),  # a new source
        SourceChange(20, 10, 2, [KEPT] * 18),
        SourceChange(20, 0, 8, [KEPT] * 5),
        SourceChange(20, 0, 1, [EMPTIED] * 2 + [REPLACED] * 2),
        SourceChange(2, 0, 2, []),  # too few to tell
        SourceChange(4, 3, 0, [REPLACED]),
    ],
)
def test_a_source_that_is_edited_and_reorganised_is_left_alone(change: SourceChange) -> None:
    assert shifts(change, POLICY) == ()
