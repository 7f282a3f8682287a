from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generation.windows import best_window

TEXT = (
    "The pump is painted blue. It was first sold in spring. The impeller is replaced after 2,000 hours. "
    "Grease the bearing then. The box holds two keys."
)


def words(text: str) -> list[str]:
    return text.lower().replace(".", "").split()


def test_the_window_is_the_sentence_that_speaks_of_the_question() -> None:
    start, end = best_window(TEXT, {"impeller": 2.0, "replaced": 1.0}, words, 60)
    assert TEXT[start:end] == "The impeller is replaced after 2,000 hours."


def test_a_larger_window_takes_neighbours_in() -> None:
    start, end = best_window(TEXT, {"impeller": 2.0, "bearing": 1.0}, words, 80)
    assert TEXT[start:end] == "The impeller is replaced after 2,000 hours. Grease the bearing then."


def test_a_text_within_the_budget_is_taken_whole() -> None:
    assert best_window(TEXT, {"impeller": 1.0}, words, len(TEXT)) == (0, len(TEXT))


def test_without_any_match_the_beginning_is_taken() -> None:
    start, end = best_window(TEXT, {"valve": 1.0}, words, 60)
    assert TEXT[start:end] == "The pump is painted blue. It was first sold in spring."


def test_a_sentence_over_the_budget_is_cut_at_a_word() -> None:
    start, end = best_window("one two three four five six seven", {"one": 1.0}, words, 12)
    assert (start, end) == (0, 7)


@given(
    text=st.text(alphabet="ab .\n!é漢", max_size=200),
    question=st.sets(st.sampled_from(["a", "b", "ab", "漢"]), min_size=1),
    most=st.integers(1, 80),
)
def test_a_window_never_exceeds_the_budget(text: str, question: set[str], most: int) -> None:
    start, end = best_window(text, dict.fromkeys(question, 1.0), words, most)
    assert 0 <= start <= end <= len(text)
    assert end - start <= max(most, 0)
