"""What comes from documents can't send control codes to a terminal, or forge lines of a list."""

from __future__ import annotations

from datetime import UTC, datetime

from generation.types import Answer, Citation, Claim, Faithfulness
from ingest.types import DocumentOutcome, Problem
from ragstone.rendering import answer_lines, laid_open, marked_lines, one_line, outcome_line, passage_lines, printable
from retrieval.types import Lead, Passage, Scores

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\nforged"


def test_control_characters_are_made_visible() -> None:
    assert printable("a\x1b[31m\r\x00\x9b\u202e\udcff") == "a\\x1b[31m\\r\\x00\\x9b\\u202e\\udcff"
    assert printable("två\nrader\tmed\xa0日本") == "två\nrader\tmed\xa0日本"


def test_one_line_stays_one_line() -> None:
    assert one_line("a\nb\tc\u2028d\x85é\xa0f") == "a\\nb\\tc\\u2028d\\x85é\xa0f"


def test_what_is_invisible_is_laid_open_though_python_calls_it_printable() -> None:
    assert laid_open("a\u200b\ufe0f\u3164\U000e0101\x1b b\n") == "a\\u200b\\ufe0f\\u3164\\U000e0101\\x1b b\n"


def test_marks_stand_where_the_spans_are_and_no_text_forges_them() -> None:
    text = "one \u200btwo ⟧ three\nfour"
    assert list(marked_lines(text, [(4, 8), (6, 17), (0, 0)])) == [
        "1 | one ⟦1:\\u200bt⟦2:wo⟧ \\u27e7 three",
        "2 | ⟧four",
    ]


def passage() -> Passage:
    return Passage(
        chunk_id="c",
        document_id="d",
        uri=f"uri{EVIL}",
        title=f"title{EVIL}",
        version=1,
        heading=(f"heading{EVIL}",),
        page=None,
        start=0,
        end=4,
        text=f"text{EVIL}",
        lead=Lead(start=0, end=4, text=f"lead{EVIL}"),
        score=1.0,
        scores=Scores(dense=1.0, lexical=None),
    )


def assert_harmless(lines: list[str]) -> None:
    assert [line for line in lines if not line.isprintable()] == []
    assert any("\\x1b]0;owned\\x07" in line for line in lines)


def test_passages_are_harmless() -> None:
    lines = list(passage_lines(passage(), 1))
    assert_harmless(lines)
    assert "uri\\x1b]0;owned\\x07\\x9b31m\\u202e\\nforged > heading" in lines[0]
    assert [line.split("\\")[0].strip() for line in lines[1:]] == ["lead", "text"]


def test_answers_are_harmless() -> None:
    citation = Citation(marker="[1]", document_id="d", version=1, start=0, end=4, quote=f"quote{EVIL}")
    answer = Answer(
        answer_id="a",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        question="?",
        collection="default",
        text=f"answer{EVIL}",
        abstained=False,
        citations=(citation,),
        claims=(Claim(text=f"claim{EVIL}", start=0, end=5, verdict="not_found", score=0.1),),
        faithfulness=Faithfulness(score=0.1, verdict="not_found", scored=True, verifier="v"),
        passages=(passage(),),
        notes=(f"note{EVIL}",),
        release="r",
        revision=1,
        seed=0,
    )
    lines = list(answer_lines(answer))
    assert_harmless(lines)
    assert all(any(f"{part}\\x1b" in line for line in lines) for part in ("answer", "uri", "quote", "claim", "note"))


def test_outcomes_stay_on_their_line() -> None:
    problem = Problem(code="corrupt-document", detail=f"detail{EVIL}")
    line = outcome_line(DocumentOutcome(document_id="d", uri=f"uri{EVIL}", state="failed", problem=problem))
    assert line.isprintable()
    assert "uri\\x1b" in line
    assert "detail\\x1b" in line
