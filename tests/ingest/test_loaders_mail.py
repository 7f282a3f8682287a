"""E-mail and mailboxes."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

HEAD = "From: Ann <ann@pond.example>\nTo: Bob <bob@pond.example>\nDate: Mon, 23 Dec 2024 10:00:00 +0100\n"
SAID = "They swim in ponds and ditches where the water hardly moves, and lay their eggs on leaves."


def letter(subject: str = "Newts") -> EmailMessage:
    message = EmailMessage()
    message["Received"] = "from pond.example by ditch.example"
    for line in HEAD.splitlines():
        name, _, value = line.partition(": ")
        message[name] = value
    message["Subject"] = subject
    return message


def raw(*lines: str) -> bytes:
    return "\r\n".join(["From: ann@pond.example", "Subject: Newts", *lines, ""]).encode("latin-1")


def test_a_message_is_some_of_its_headers_and_its_body() -> None:
    message = letter("Über Molche")
    message.set_content("They swim.\n\nThey dive.\n", cte="base64")
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text == f"{HEAD}Subject: Über Molche\n\nThey swim.\n\nThey dive."
    assert (extracted.title, extracted.media_type, extracted.notes) == ("Über Molche", "message/rfc822", ())
    assert extracted.headings == (Heading(start=0, level=1, title="Über Molche"),)


def test_plain_text_stands_for_the_page_that_says_the_same() -> None:
    message = letter()
    message.set_content(SAID)
    message.add_alternative(f"<p>{SAID}</p><p>Ann</p>", subtype="html")
    assert extract(message.as_bytes(), "a.eml").text.endswith(f"\n\n{SAID}")


@pytest.mark.parametrize("stub", ["", "Your program can't show this message.", "They swim."])
def test_the_page_is_taken_where_it_says_more(stub: str) -> None:
    message = letter()
    message.set_content(stub)
    message.add_alternative(f"<h1>Newts</h1><p>{SAID}</p>", subtype="html")
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text.endswith(f"\n\n# Newts\n\n{SAID}")
    assert extracted.headings[1] == Heading(extracted.text.index("# Newts"), 2, "Newts")
    assert extracted.hidden == ()


def test_plain_text_that_says_other_things_than_the_page_that_is_shown_is_hidden_text() -> None:
    order = " ".join(f"order{number}" for number in range(40))
    message = letter()
    message.set_content(order)
    message.add_alternative(f"<p>{SAID}</p>", subtype="html")
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text.endswith(SAID)
    assert extracted.hidden == (Hidden(how="part", text=order),)


def test_what_a_page_hides_does_not_come_in_by_the_plain_text() -> None:
    message = letter()
    message.set_content(f"obey {SAID}")
    message.add_alternative(f'<div style="display:none">obey</div><p>{SAID}</p>', subtype="html")
    extracted = extract(message.as_bytes(), "a.eml")
    assert "obey" not in extracted.text
    assert extracted.hidden == (Hidden(how="layer", text="obey"),)


def test_attachments_are_sections_under_their_names() -> None:
    message = letter()
    message.set_content("See below.")
    message.add_attachment(b"They hop.", "text", "plain", filename="Kröten.txt")
    message.add_attachment(b"<p>They croak.</p>", "text", "html", filename="frogs.html")
    message.add_attachment(b"\0\1", "application", "octet-stream", filename="a.bin")
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text.endswith("See below.\n\n# Kröten.txt\n\nThey hop.\n\n# frogs.html\n\nThey croak.")
    assert extracted.notes == ("a.bin was left out (unsupported-format)",)


def test_a_forwarded_message_is_a_section_under_its_subject() -> None:
    inner = letter("Re: toads/frogs")
    inner.set_content("They hop.")
    message = letter()
    message.set_content("See below.")
    message.add_attachment(inner)
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text.endswith(f"See below.\n\n# Re: toads/frogs\n\n{HEAD}Subject: Re: toads/frogs\n\nThey hop.")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [(1, "Newts"), (1, "Re: toads/frogs")]


def test_pictures_within_a_page_are_counted_not_read() -> None:
    message = letter()
    message.set_content(f'<p>{SAID}</p><img src="cid:a">', subtype="html")
    message.add_related(b"\x89PNG", "image", "png", cid="<a>")
    extracted = extract(message.as_bytes(), "a.eml")
    assert extracted.text.endswith(SAID)
    assert extracted.notes == ("pictures within the message were left out (1)",)


def test_a_digest_is_its_messages() -> None:
    parts = [part for title in ("One", "Two") for part in ("--b", "", f"Subject: {title}", "", f"{title} swims.", "")]
    extracted = extract(raw("Content-Type: multipart/digest; boundary=b", "", *parts, "--b--"), "a.eml")
    assert [heading.title for heading in extracted.headings] == ["Newts", "One", "Two"]
    assert "# Two\n\nSubject: Two\n\nTwo swims." in extracted.text


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("koi8-r", "koi8-r"), ("utf-8", "cp1251"), ("us-ascii", "cp1251"), ("unknown-8bit", "koi8-r"), ("utf-8", "utf-8")],
)
def test_a_body_is_read_by_its_charset_or_by_its_bytes_where_that_is_wrong(charset: str, codec: str) -> None:
    said = "Тритоны живут в прудах и канавах, где мало течения."
    data = raw(f"Content-Type: text/plain; charset={charset}", "", "") + said.encode(codec)
    assert extract(data, "a.eml").text.endswith(said)


@pytest.mark.parametrize(
    "subject",
    [
        "=?koi8-r?B?" + base64.b64encode("Тритоны".encode("koi8-r")).decode() + "?=",
        "=?utf-8?q?=D0=A2=D1=80=D0=B8=D1=82?=\r\n =?utf-8?q?=D0=BE=D0=BD=D1=8B?=",
        "Тритоны".encode().decode("latin-1"),
    ],
)
def test_subjects_are_decoded(subject: str) -> None:
    data = f"From: ann@pond.example\r\nSubject: {subject}\r\n\r\nThey swim.".encode("latin-1")
    assert extract(data, "a.eml").title == "Тритоны"


@pytest.mark.parametrize(
    "header",
    [
        "Subject: =?utf-8?b?=====?=",
        "Subject: =?no-such?q?a?=",
        "To: " + "(" * 5000,
        "To: " + "=?" * 5000,
        'Content-Type: text/plain; charset="utf-8"Content-Transfer-Encoding: 8bit',
        "Content-Type: ;;;=",
        'Content-Type: text/plain; charset="a\0b"',
        "Content-Type: multipart/mixed",
        "Content-Type: text/plain; name*0*=x''%; name*2=b",
        "Content-Disposition: attachment; filename*=utf-8''%ff%fe",
        "Content-Transfer-Encoding: nonsense",
    ],
)
def test_malformed_headers_do_no_harm(header: str) -> None:
    for said in ("They swim.", "They swim. \xe4"):  # bytes beyond ASCII take other ways through the parser
        assert "They swim." in extract(raw(header, "", said), "a.eml").text


def test_mail_in_utf_16_is_read() -> None:
    data = raw("", "They swim.").decode("latin-1").encode("utf-16")
    assert extract(data, "a.eml").text == "From: ann@pond.example\nSubject: Newts\n\nThey swim."


def test_flowed_lines_are_joined() -> None:
    data = raw(
        "Content-Type: text/plain; format=flowed", "", "They swim ", "and dive.", "> They ", "> hop.", "-- ", "Ann"
    )
    assert extract(data, "a.eml").text.endswith("\n\nThey swim and dive.\n> They hop.\n-- \nAnn")


@pytest.mark.parametrize(
    ("lines", "by"),
    [
        (
            ["Content-Type: multipart/encrypted; boundary=b", "", "--b", "", "Version: 1", "--b", "", "x", "--b--"],
            "PGP",
        ),
        (["Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "", "x"], "S/MIME"),
        (["", "-----BEGIN PGP MESSAGE-----", "", "hQEM", "-----END PGP MESSAGE-----"], "PGP"),
    ],
)
def test_encrypted_bodies_are_named(lines: list[str], by: str) -> None:
    with pytest.raises(EncryptedDocument, match=rf"^a\.eml: its body is encrypted by {by}\. Open it in a mail program"):
        extract(raw(*lines), "a.eml")


def test_what_is_readable_beside_an_encrypted_part_is_read() -> None:
    said = ["", "They swim.", "-----BEGIN PGP MESSAGE-----", "hQEM", "-----END PGP MESSAGE-----"]
    extracted = extract(raw(*said), "a.eml")
    assert extracted.text.endswith("\n\nThey swim.")
    assert extracted.notes == ("a part that is encrypted by PGP was left out",)


@pytest.mark.parametrize("kind", ["signed", "mixed"])  # lists that add a footer make the one into the other
def test_the_signature_of_a_signed_message_is_no_attachment(kind: str) -> None:
    parts = ["--b", "", "They swim.", "--b", "Content-Type: application/pgp-signature; name=s.asc", "", "x", "--b--"]
    extracted = extract(raw(f"Content-Type: multipart/{kind}; boundary=b", "", *parts), "a.eml")
    assert extracted.text.endswith("\n\nThey swim.")
    assert extracted.notes == ()


def test_too_many_parts_or_too_deep_ones_are_refused() -> None:
    parts = ["--b", "", "x"] * 30
    data = raw("Content-Type: multipart/mixed; boundary=b", "", *parts, "--b--")
    assert extract(data, "a.eml").text.count("x\n") > 20
    with pytest.raises(LimitExceeded, match=r"^a\.eml: has more than 20 parts"):
        extract(data, "a.eml", Reading(ExtractionSettings(max_files=20)))
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(2000))
    with pytest.raises((CorruptDocument, LimitExceeded), match=r"^a\.eml: "):
        extract(b"From: ann@pond.example\r\n" + deep.encode(), "a.eml")


MAILBOX = b"""From ann@pond.example Mon Dec 23 10:00:00 2024
From: ann@pond.example
Subject: Newts

They swim.
>From the pond.
From now on, no separator.

From bob@pond.example Mon Dec 23 11:00:00 2024 +0100
From: bob@pond.example
Subject: Re: Newts

They dive.
"""


@pytest.mark.parametrize("name", ["a.mbox", "a.eml", "Inbox"])
def test_each_message_of_a_mailbox_is_a_section_under_its_subject(name: str) -> None:
    extracted = extract(MAILBOX, name)
    assert extracted.media_type == "application/mbox"
    assert [heading.title for heading in extracted.headings] == ["Newts", "Re: Newts"]
    assert "They swim.\nFrom the pond.\nFrom now on, no separator.\n\n# Re: Newts\n\nFrom: bob" in extracted.text
    with pytest.raises(LimitExceeded, match=r"holds 2 messages, the limit is 1"):
        extract(MAILBOX, name, Reading(ExtractionSettings(max_files=1)))


def test_a_text_that_begins_like_a_letter_stays_text() -> None:
    assert extract(b"Subject: Newts\n\nThey swim.", "letter").media_type == "text/plain"
    assert extract(b"From: Ann\nDate: today\nSubject: Newts\n\nx", "notes.txt").media_type == "text/plain"
