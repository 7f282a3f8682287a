from __future__ import annotations

from passages import passage

from generation.citations import Marker, cite, strip_markers
from generation.prompt import Excerpt
from generation.types import Claim, ClaimVerdict, Evidence, Faithfulness, Verification
from retrieval.types import PageStart

FIRST, SECOND = "The pump weighs 11 kg.", "It is sold since May."
EXCERPTS = [
    Excerpt(1, passage(1, f"Before. {FIRST}", start=50), 50, 80),
    Excerpt(2, passage(2, SECOND), 0, len(SECOND)),
]
EVIDENCE = {
    FIRST: Evidence(document_id="d-1", version=1, start=58, end=58 + len(FIRST)),
    SECOND: Evidence(document_id="d-2", version=1, start=0, end=len(SECOND)),
}


def judged(text: str, **verdicts: ClaimVerdict) -> Verification:
    """A verification of a text made of FIRST and SECOND."""
    claims = [
        Claim(
            text=sentence,
            start=text.index(sentence),
            end=text.index(sentence) + len(sentence),
            verdict=verdicts.get(name, "supported"),
            score=0.9,
            evidence=EVIDENCE[sentence],
        )
        for name, sentence in (("first", FIRST), ("second", SECOND))
        if sentence in text
    ]
    faithfulness = Faithfulness(score=0.9, verdict="supported", scored=True, verifier="test")
    return Verification(claims=tuple(claims), faithfulness=faithfulness)


def test_markers_are_taken_out_where_they_stood() -> None:
    text, markers = strip_markers("It weighs 11 kg [1]. It is blue. [2, 3] Yes [passage 2].")
    assert text == "It weighs 11 kg. It is blue. Yes."
    assert markers == (Marker(15, 1), Marker(28, 2), Marker(28, 3), Marker(32, 2))


def test_brackets_in_code_and_after_words_are_no_markers() -> None:
    for text in ("Use `items[1]` or ```\nx [1]\n``` here.", "See [1](http://x) and [a].", "[1]x"):
        assert strip_markers(text) == (text, ())


def test_a_marker_that_holds_is_kept_and_quotes_the_version() -> None:
    text, markers = strip_markers(f"{FIRST[:-1]} [1]. {SECOND} [2]")
    cited = cite(text, judged(text), markers, EXCERPTS)
    assert cited.text == f"{FIRST} [1] {SECOND} [2]"
    assert [(c.marker, c.document_id, c.start, c.quote, c.origin) for c in cited.citations] == [
        ("[1]", "d-1", 58, FIRST, "model"),
        ("[2]", "d-2", 0, SECOND, "model"),
    ]
    assert cited.notes == ()
    for claim in cited.claims:
        assert cited.text[claim.start : claim.end] == claim.text


def test_a_wrong_marker_is_moved_to_the_passage_that_holds_the_evidence() -> None:
    text, markers = strip_markers(f"{FIRST} [2]")
    cited = cite(text, judged(text), markers, EXCERPTS)
    assert cited.text == f"{FIRST} [1]"
    assert cited.citations[0].origin == "verifier"
    assert cited.notes == (f"[2] moved to [1], which supports “{FIRST}”",)


def test_a_claim_without_marker_gets_one() -> None:
    cited = cite(FIRST, judged(FIRST), (), EXCERPTS)
    assert cited.text == f"{FIRST} [1]"
    assert cited.notes == ()


def test_a_marker_to_no_passage_is_dropped_and_said_so() -> None:
    text, markers = strip_markers(f"{FIRST} [7]")
    cited = cite(text, judged(text), markers, EXCERPTS)
    assert cited.text == f"{FIRST} [1]"
    assert cited.notes == ("[7] dropped: there is no such passage",)


def test_an_unsupported_claim_keeps_no_marker() -> None:
    text, markers = strip_markers(f"{FIRST} [1] {SECOND} [2]")
    cited = cite(text, judged(text, first="not_found"), markers, EXCERPTS)
    assert cited.text == f"{FIRST} {SECOND} [2]"
    assert [c.marker for c in cited.citations] == ["[2]"]
    assert cited.notes == (f"[1] dropped: the passages do not support “{FIRST}”",)
    assert cited.text[cited.claims[1].start : cited.claims[1].end] == SECOND


def test_a_second_marker_that_was_not_checked_is_dropped() -> None:
    text, markers = strip_markers(f"{FIRST} [1][2]")
    cited = cite(text, judged(text), markers, EXCERPTS)
    assert cited.text == f"{FIRST} [1]"
    assert cited.notes == (f"[2] dropped: the evidence for “{FIRST}” is in [1]",)


def test_a_citation_names_the_page_of_its_evidence() -> None:
    whole = f"{FIRST} {SECOND}"
    starts = (PageStart(page=4, start=len(FIRST) + 1),)
    on_two_pages = passage(2, whole).model_copy(update={"page": 3, "later_pages": starts})
    later = Evidence(document_id="d-2", version=1, start=len(FIRST) + 1, end=len(whole))
    claim = judged(SECOND).claims[0].model_copy(update={"evidence": later})
    verification = judged(SECOND).model_copy(update={"claims": (claim,)})
    (citation,) = cite(SECOND, verification, [], [Excerpt(1, on_two_pages, 0, len(whole))]).citations
    assert (citation.quote, citation.page) == (SECOND, 4)
