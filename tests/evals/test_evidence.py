from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evals.checks import content_words
from evals.evidence import make_windows, shortlist


def wanted(text: str) -> frozenset[str]:
    return frozenset(content_words(text))


def test_windows_are_one_and_two_sentences_of_each_text() -> None:
    windows = make_windows(["Red fish. Blue fish. Old fish.", "New fish."])
    assert [(w.passage, w.n_sentences, w.text) for w in windows] == [
        (0, 1, "Red fish."),
        (0, 1, "Blue fish."),
        (0, 1, "Old fish."),
        (0, 2, "Red fish. Blue fish."),
        (0, 2, "Blue fish. Old fish."),
        (1, 1, "New fish."),
    ]


def test_long_text_without_full_stops_is_cut_at_spaces() -> None:
    windows = [w for w in make_windows(["word " * 500]) if w.n_sentences == 1]
    assert len(windows) == 7
    assert all(len(w.text) <= 400 and w.text.strip() == w.text for w in windows)
    assert sum(len(w.text.split()) for w in windows) == 500


def test_shortlist_takes_the_windows_with_the_words_of_each_claim() -> None:
    windows = make_windows(
        [f"Nothing of interest stands in sentence {n}." for n in range(30)] + ["Cats purr.", "Dogs bark."]
    )
    chosen = shortlist(windows, [wanted("Cats purr."), wanted("Dogs bark.")], 2)
    assert [w.text for w in chosen] == ["Cats purr.", "Dogs bark."]


def test_shortlist_keeps_the_order_of_the_passages_and_the_limit() -> None:
    windows = make_windows(["Cats purr. Cats sleep. Cats eat."])
    chosen = shortlist(windows, [wanted("Cats eat and purr.")], 3)
    assert chosen == sorted(chosen, key=windows.index)
    assert len(chosen) == 3
    assert shortlist(windows, [wanted("Cats")], 99) == windows


@given(st.lists(st.text(max_size=60) | st.text(alphabet="ab. \n", min_size=400, max_size=900), max_size=3))
def test_every_window_stands_at_its_offsets(texts: list[str]) -> None:
    for window in make_windows(texts):
        assert texts[window.passage][window.start : window.end] == window.text
        assert window.text.strip()
