"""Personal data is replaced, offsets stay exact, and what can't be done is said."""

from __future__ import annotations

import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.config import RedactionSettings
from ingest.errors import MissingDriver
from ingest.redaction import Redactor
from ingest.types import Extracted, Heading, Hidden, Page

KINDS = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN")
MAIL = "anna.schmidt@example.com"


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor(RedactionSettings(kinds=KINDS))


def document(text: str, headings: tuple[Heading, ...] = (), pages: tuple[Page, ...] = ()) -> Extracted:
    return Extracted(text=text, title="Newts", media_type="text/plain", headings=headings, pages=pages)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"Write to {MAIL}.", "Write to <EMAIL_ADDRESS>."),
        ("Call +1 212-555-0123 today.", "Call <PHONE_NUMBER> today."),
        ("Card 4111 1111 1111 1111, paid.", "Card <CREDIT_CARD>, paid."),
        ("Card 6304274283982, paid.", "Card 6304274283982, paid."),  # its check digit is wrong
        ("Card 6759649826438453, paid.", "Card <CREDIT_CARD>, paid."),  # Maestro
        ("IBAN DE89370400440532013000.", "IBAN <IBAN_CODE>."),
        ("IBAN DE89370400440532013001.", "IBAN DE89370400440532013001."),
        ("The server is 192.168.17.4 now.", "The server is <IP_ADDRESS> now."),
        ("My SSN is 536-90-4399.", "My SSN is <US_SSN>."),
        ("Newts live in ponds; 12 of them in 2024.", "Newts live in ponds; 12 of them in 2024."),
        ("a@b and x@localhost are no addresses", "a@b and x@localhost are no addresses"),
    ],
)
def test_each_kind_is_replaced_by_its_mark(redactor: Redactor, text: str, redacted: str) -> None:
    found, counts = redactor.redact(document(text))
    assert found.text == redacted
    assert sum(counts.values()) == redacted.count("<")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Write to anna.schm\u00adidt@exam\u200bple.com.", "Write to <EMAIL_ADDRESS>."),
        ("Card 4111\u2060 1111\u200b1111\ufff91111, paid.", "Card <CREDIT_CARD>, paid."),
        ("Card 4\u00ad111 1111 1111 111\u200d1, paid.", "Card <CREDIT_CARD>, paid."),
        ("Card 4111\u00a01111\u202f1111\u20091111, paid.", "Card <CREDIT_CARD>, paid."),
        ("Card \uff14\uff11\uff11\uff11111111111111, paid.", "Card <CREDIT_CARD>, paid."),
        ("IBAN DE89\u200b3704\u200b0044\u200b0532\u200b0130\u200b00.", "IBAN <IBAN_CODE>."),
        ("\u200bMy SSN is 536\u00ad-90\u00ad-4399\u00ad.", "\u200bMy SSN is <US_SSN>\u00ad."),
        ("The server is 192.\u2063168.17.4 now.", "The server is <IP_ADDRESS> now."),
        ("Call +1 212\u200e-555-\U000e00410123 today.", "Call <PHONE_NUMBER> today."),
        ("So\u00adft hyphens", "So\u00adft hyphens"),
        ("\U0001f468\u200d\U0001f469 stay.", "\U0001f468\u200d\U0001f469 stay."),
    ],
)
def test_invisible_characters_hide_nothing(redactor: Redactor, text: str, redacted: str) -> None:
    assert redactor.redact(document(text))[0].text == redacted


def test_invisible_characters_move_no_heading_and_no_page(redactor: Redactor) -> None:
    hidden = "\u00ad".join(MAIL)
    text = f"\u200b# {hidden}\n\nOf {hidden}.\n\n## Po\u00adnds\n\nDeep."
    headings = (Heading(1, 1, hidden), Heading(text.index("## "), 2, "Po\u00adnds"))
    found, counts = redactor.redact(document(text, headings, (Page(1, 0), Page(2, text.index("Deep")))))
    assert counts == {"EMAIL_ADDRESS": 2}
    assert found.text == "\u200b# <EMAIL_ADDRESS>\n\nOf <EMAIL_ADDRESS>.\n\n## Po\u00adnds\n\nDeep."
    assert [its.title for its in found.headings] == ["<EMAIL_ADDRESS>", "Po\u00adnds"]
    assert found.text[found.headings[1].start :].startswith("## ")
    assert found.text[found.pages[1].start :] == "Deep."


def test_notes_are_redacted(redactor: Redactor) -> None:
    noted = replace(document("Newts."), notes=(f"the letter of {MAIL} was left out", "page 3 has no text"))
    found, counts = redactor.redact(noted)
    assert found.notes == ("the letter of <EMAIL_ADDRESS> was left out", "page 3 has no text")
    assert counts == {"EMAIL_ADDRESS": 1}


def test_only_the_kinds_that_are_named_are_replaced() -> None:
    text = f"Write to {MAIL} or call +1 212-555-0123."
    found, counts = Redactor(RedactionSettings(kinds=("PHONE_NUMBER",))).redact(document(text))
    assert found.text == f"Write to {MAIL} or call <PHONE_NUMBER>."
    assert dict(counts) == {"PHONE_NUMBER": 1}


def test_headings_and_pages_keep_their_places(redactor: Redactor) -> None:
    text = f"# {MAIL}\n\nOf {MAIL} and {MAIL}.\n\n## Ponds\n\nDeep.\n\n{MAIL} is on page 3.\n\n## By {MAIL}, 2024\n"
    places = [text.index("# "), text.index("## Ponds"), text.index("## By")]
    headings = (Heading(places[0], 1, MAIL), Heading(places[1], 2, "Ponds"), Heading(places[2], 2, f"By {MAIL}, 2024"))
    inside = text.index(f"{MAIL} is on")
    pages = (Page(1, 0), Page(2, text.index("Deep")), Page(3, inside), Page(4, inside + 3), Page(None, len(text)))
    found, counts = redactor.redact(document(text, headings, pages))
    assert counts["EMAIL_ADDRESS"] == 5
    assert [found.text[its.start :].split("\n")[0] for its in found.headings] == [
        "# <EMAIL_ADDRESS>", "## Ponds", "## By <EMAIL_ADDRESS>, 2024",
    ]  # fmt: skip
    assert [its.title for its in found.headings] == ["<EMAIL_ADDRESS>", "Ponds", "By <EMAIL_ADDRESS>, 2024"]
    rest = [found.text[its.start :] for its in found.pages]
    assert rest[1].startswith("Deep.") and rest[2].startswith("<EMAIL_ADDRESS> is on") and rest[3] == rest[2]
    assert (found.pages[0].start, found.pages[4].start) == (0, len(found.text))


def test_title_hidden_text_and_headings_that_stand_nowhere_are_redacted_too(redactor: Redactor) -> None:
    extracted = Extracted(
        text="Newts.",
        title=f"From {MAIL}",
        media_type="text/plain",
        headings=(Heading(0, 1, f"To {MAIL}"),),
        hidden=(Hidden("colour", f"Hide {MAIL}", page=2),),
    )
    found, counts = redactor.redact(extracted)
    assert MAIL not in repr(found)
    assert (found.title, found.headings[0].title, found.hidden[0].text, found.hidden[0].page) == (
        "From <EMAIL_ADDRESS>", "To <EMAIL_ADDRESS>", "Hide <EMAIL_ADDRESS>", 2,
    )  # fmt: skip
    assert counts["EMAIL_ADDRESS"] == 3


def test_long_texts_are_read_to_the_end(redactor: Redactor) -> None:
    text = "Newts live in ponds, and hunt at night. " * 2000 + f"By {MAIL}"
    found, counts = redactor.redact(document(f"{MAIL}\n{text}"))
    assert counts["EMAIL_ADDRESS"] == 2
    assert found.text == f"<EMAIL_ADDRESS>\n{text.replace(MAIL, '<EMAIL_ADDRESS>')}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([MAIL, "192.168.17.4", "pond", "\n", " ", "é", "\U0001f98e", "."]), max_size=25))
def test_what_is_no_personal_data_stays_as_it_is(redactor: Redactor, parts: list[str]) -> None:
    text = " ".join(parts)
    pages = tuple(Page(number, place) for number, place in enumerate(range(0, len(text) + 1, 3), start=1))
    found, counts = redactor.redact(document(text, (), pages))
    assert found.text == text.replace(MAIL, "<EMAIL_ADDRESS>").replace("192.168.17.4", "<IP_ADDRESS>")
    assert sum(counts.values()) == parts.count(MAIL) + parts.count("192.168.17.4")
    starts = [its.start for its in found.pages]
    assert starts == sorted(starts) and starts[-1] <= len(found.text)
    for old, new in zip(pages, found.pages, strict=True):
        if text[old.start : old.start + 1] in ("\n", "é", "\U0001f98e"):
            assert found.text[new.start] == text[old.start]


@pytest.mark.parametrize("piece", ["a-", "a.", "1 ", "1-", "a@", "1234567890", "x"])
def test_hostile_text_takes_time_in_proportion(redactor: Redactor, piece: str) -> None:
    def seconds(length: int) -> float:
        began = time.process_time()
        redactor.spans(piece * (length // len(piece)))
        return time.process_time() - began

    assert seconds(40_000) < 8 * seconds(10_000) + 1


def test_nothing_is_asked_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        asked.append(address)
        raise OSError("there is no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found, _ = Redactor(RedactionSettings(kinds=KINDS)).redact(document(f"Write to {MAIL}."))
    assert found.text == "Write to <EMAIL_ADDRESS>."
    assert asked == []


def test_kinds_that_need_a_model_are_refused_without_one() -> None:
    with pytest.raises(ValidationError, match=r"LOCATION, PERSON can't be found by patterns: name an installed spaCy"):
        RedactionSettings(kinds=("PERSON", "EMAIL_ADDRESS", "LOCATION"))


def test_a_model_that_is_not_installed_is_named() -> None:
    with pytest.raises(MissingDriver, match="names no_such_model, which is neither an installed package nor a folder"):
        Redactor(RedactionSettings(kinds=("PERSON",), model="no_such_model"))


def test_a_model_finds_what_it_names(tmp_path: Path) -> None:
    """With a model made here, of rules alone."""
    import spacy

    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Anna Schmidt"}])  # type: ignore[attr-defined]
    pipeline.to_disk(tmp_path)
    redactor = Redactor(RedactionSettings(kinds=("PERSON", "EMAIL_ADDRESS"), model=str(tmp_path)))
    found, counts = redactor.redact(document(f"Anna Schmidt ({MAIL}) saw a newt."))
    assert found.text == "<PERSON> (<EMAIL_ADDRESS>) saw a newt."
    assert dict(counts) == {"PERSON": 1, "EMAIL_ADDRESS": 1}


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingDriver, match=r"pip install 'ragstone\[pii\]'"):
        Redactor(RedactionSettings(kinds=("EMAIL_ADDRESS",)))
