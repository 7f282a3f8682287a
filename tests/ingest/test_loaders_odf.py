from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from office_documents import ODF, compound, odf, ole_package, packed, part_of, with_part

from ingest.config import ExtractionSettings
from ingest.errors import CorruptDocument, EncryptedDocument, LimitExceeded, UnsupportedFormat
from ingest.loaders.reading import Reading
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden, Page

STYLES = """
<style:style style:name="Title" style:family="paragraph"/>
<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>
<text:outline-style>
<text:outline-level-style text:level="1" style:num-format="1"/>
<text:outline-level-style text:level="2" style:num-format="a" text:display-levels="2" style:num-suffix=")"/>
</text:outline-style>
<text:list-style style:name="L">
<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="." text:start-value="3"/>
<text:list-level-style-bullet text:level="2" text:bullet-char="*"/>
</text:list-style>"""
BODY = """
<text:p text:style-name="P1">Newts</text:p>
<text:h text:outline-level="1">Pond</text:h>
<text:h text:outline-level="2">North</text:h>
<text:h text:outline-level="2">South</text:h>
<text:p>Newts<text:s text:c="2"/>swim<text:note><text:note-citation>1</text:note-citation><text:note-body>
<text:p>Only in spring.</text:p></text:note-body></text:note>.<text:line-break/>They<text:tab/>eat<office:annotation>
<dc:creator>Ann</dc:creator><text:p>Really?</text:p></office:annotation>.</text:p>
<text:list text:style-name="L"><text:list-item><text:p>worms</text:p><text:list><text:list-item><text:p>red</text:p>
</text:list-item></text:list></text:list-item><text:list-item><text:p>flies</text:p></text:list-item></text:list>
<text:tracked-changes><text:changed-region><text:p>deleted</text:p></text:changed-region></text:tracked-changes>
<table:table><table:table-row><table:table-cell><text:p>Kind</text:p></table:table-cell>
<table:table-cell table:number-columns-spanned="2"><text:p>Length</text:p></table:table-cell>
<table:covered-table-cell/></table:table-row><table:table-row>
<table:table-cell table:number-rows-spanned="2"><text:p>Smooth</text:p></table:table-cell>
<table:table-cell><text:p>1</text:p></table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell>
</table:table-row><table:table-row><table:covered-table-cell/><table:table-cell><text:p>3</text:p></table:table-cell>
<table:table-cell><text:p>4</text:p></table:table-cell></table:table-row></table:table>
<text:p><draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame></text:p>"""
TEXT = """\
# Newts

## 1 Pond

### 1.a) North

### 1.b) South

Newts  swim[1].
They\teat.

[1] Only in spring.

3. worms
  - red
4. flies

| Kind | Length | Length |
| --- | --- | --- |
| Smooth | 1 | 2 |
| Smooth | 3 | 4 |

In a box.

## Comments

- Ann: Really?"""


def text_document(body: str = BODY, **options: str) -> bytes:
    return odf("text", "".join(body.splitlines()), **options)


def test_a_text_document_becomes_text_in_its_order() -> None:
    extracted = extract(text_document(styles=STYLES), "newts.odt")
    assert extracted.text == TEXT
    assert extracted.title == "Newts"
    assert extracted.headings == (
        Heading(0, 1, "Newts"),
        *(
            Heading(TEXT.index(f"{'#' * level} {title}"), level, title)
            for level, title in ((2, "1 Pond"), (3, "1.a) North"), (3, "1.b) South"), (2, "Comments"))
        ),
    )


def test_the_stated_title_comes_first() -> None:
    extracted = extract(text_document("<text:p>They swim.</text:p>", title="All newts"), "a.odt")
    assert (extracted.title, extracted.headings) == ("All newts", (Heading(0, 1, "All newts"),))


def test_what_a_reader_does_not_see_is_told_apart() -> None:
    styles = "".join(
        f'<style:style style:name="{name}" style:family="text"><style:text-properties {properties}/></style:style>'
        for name, properties in (
            ("gone", 'text:display="none"'),
            ("white", 'fo:color="#FFFFFF"'),
            ("tiny", 'fo:font-size="1pt"'),
            ("night", 'fo:color="#ffffff" fo:background-color="#000000"'),
        )
    )
    spans = "".join(
        f'<text:span text:style-name="{name}">{name} </text:span>' for name in ("gone", "white", "tiny", "night")
    )
    body = (
        f"<text:p>Seen. {spans}</text:p>"
        '<text:section text:display="none"><text:p>in a hidden section</text:p></text:section>'
        '<text:p><text:hidden-text text:string-value="conditional"/></text:p>'
    )
    extracted = extract(text_document(body, automatic=styles), "a.odt")
    assert extracted.text == "Seen. night"
    assert set(extracted.hidden) == {
        Hidden("part", "gone "),
        Hidden("colour", "white "),
        Hidden("size", "tiny "),
        Hidden("part", "in a hidden section"),
        Hidden("part", "conditional"),
    }


def test_formulas_charts_and_embedded_files_are_read() -> None:
    frame = '<text:p><draw:frame><draw:{0} xlink:href="./{1}"/></draw:frame></text:p>'
    body = (
        frame.format("object", "Object 1") + frame.format("object", "Object 2") + frame.format("object-ole", "Object 3")
    )
    math = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mi>a</mi>'
        '<annotation encoding="StarMath 5.0">a over b</annotation></semantics></math>'
    )
    table = "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell>"
    table += "<text:p>y</text:p></table:table-cell></table:table-row></table:table>"
    chart = f"<office:body><office:chart>{table}</office:chart></office:body>"
    chart = f"<office:document-content {ODF}>{chart}</office:document-content>"
    data = with_part(text_document(body), "Object 1/content.xml", math)
    data = with_part(data, "Object 2/content.xml", chart)
    data = with_part(data, "Object 3", compound({"\x01Ole10Native": ole_package("pond.txt", b"The pond is deep.")}))
    extracted = extract(data, "a.odt")
    assert extracted.text == "a over b\n\n| x | y |\n| --- | --- |\n\n# pond.txt\n\nThe pond is deep."


def test_slides_become_sections_on_pages_of_their_number() -> None:
    hidden = (
        '<style:style style:name="dp2" style:family="drawing-page">'
        '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    box = "<draw:text-box><text:p>{}</text:p></draw:text-box>"
    body = (
        f"<draw:page><draw:frame>{box.format('They swim.')}</draw:frame>"
        f'<draw:frame presentation:class="title">{box.format("Newts")}</draw:frame><presentation:notes>'
        f'<draw:frame presentation:class="notes">{box.format("Say it slowly.")}</draw:frame></presentation:notes>'
        f'</draw:page><draw:page draw:style-name="dp2"><draw:frame>{box.format("Secret.")}</draw:frame></draw:page>'
        f"<draw:page><draw:frame>{box.format('No title.')}</draw:frame><office:annotation><text:p>Why?</text:p>"
        "</office:annotation></draw:page>"
    )
    extracted = extract(odf("presentation", body, automatic=hidden), "a.odp")
    text = "# Newts\n\nThey swim.\n\n## Notes\n\nSay it slowly.\n\nNo title.\n\n# Comments\n\n- Slide 3: Why?"
    assert extracted.text == text
    third, comments = text.index("No title"), text.index("# Comments")
    assert extracted.pages == (Page(1, 0), Page(3, third), Page(None, comments))
    assert extracted.headings == (
        Heading(0, 1, "Newts"),
        Heading(text.index("## Notes"), 2, "Notes"),
        Heading(third, 1, "Slide 3"),
        Heading(comments, 1, "Comments"),
    )
    assert extracted.hidden == (Hidden("part", "Secret.", 2),)
    with pytest.raises(LimitExceeded, match=r"^a\.odp: has 3 slides, the limit is 2\."):
        extract(odf("presentation", body), "a.odp", Reading(ExtractionSettings(max_pages=2)))


def locked(password: str, cipher: str, *, iterations: int = 1000, checked: bool = True) -> bytes:
    """A text document under a password, made as ODF 1.2 part 3, 3.4 says."""
    data = text_document("<text:p>Newts swim.</text:p>")
    salt, vector = b"0123456789abcdef", b"fedcba9876543210"
    digest, size = ("sha256", 32) if cipher == "aes" else ("sha1", 16)
    key = hashlib.pbkdf2_hmac("sha1", hashlib.new(digest, password.encode()).digest(), salt, iterations, size)
    entries = ""
    for path in ("content.xml", "styles.xml", "meta.xml"):
        plain = part_of(data, path).encode()
        packer = zlib.compressobj(wbits=-15)
        content = packer.compress(plain) + packer.flush()
        checksum = base64.b64encode(hashlib.new(digest, content[:1024]).digest()).decode() if checked else ""
        if cipher == "aes":
            padding = 16 - len(content) % 16
            content += bytes(padding - 1) + bytes([padding])
            encryptor = Cipher(AES(key), CBC(vector)).encryptor()
        else:
            encryptor = Cipher(Blowfish(key), CFB(vector[:8])).encryptor()
        data = with_part(data, path, encryptor.update(content) + encryptor.finalize())
        name = "http://www.w3.org/2001/04/xmlenc#aes256-cbc" if cipher == "aes" else "Blowfish CFB"
        start = '<m:start-key-generation m:start-key-generation-name="sha256"/>' if cipher == "aes" else ""
        used = vector if cipher == "aes" else vector[:8]
        entries += (
            f'<m:file-entry m:full-path="{path}" m:size="{len(plain)}"><m:encryption-data '
            f'm:checksum-type="{digest}-1k" m:checksum="{checksum}"><m:algorithm m:algorithm-name="{name}" '
            f'm:initialisation-vector="{base64.b64encode(used).decode()}"/><m:key-derivation '
            f'm:key-derivation-name="PBKDF2" m:key-size="{size}" m:iteration-count="{iterations}" '
            f'm:salt="{base64.b64encode(salt).decode()}"/>{start}</m:encryption-data></m:file-entry>'
        )
    space = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
    return with_part(data, "META-INF/manifest.xml", f'<m:manifest xmlns:m="{space}">{entries}</m:manifest>')


@pytest.mark.parametrize("cipher", ["aes", "blowfish"])
def test_documents_under_a_password_are_read_with_it_and_refused_without(cipher: str) -> None:
    data = locked("geheim ü", cipher)
    assert extract(data, "a.odt", Reading(password="geheim ü")).text == "Newts swim."
    with pytest.raises(
        EncryptedDocument, match=r"^a\.odt: is protected by a password\. Upload it with the password\.$"
    ):
        extract(data, "a.odt")
    for checked in (True, False):
        with pytest.raises(EncryptedDocument, match=r"^a\.odt: the password is not the right one"):
            extract(locked("geheim", cipher, checked=checked), "a.odt", Reading(password="wrong"))


def test_encryption_that_is_not_known_is_refused() -> None:
    data = locked("geheim", "aes")
    manifest = part_of(data, "META-INF/manifest.xml")
    for old, new in (("PBKDF2", "argon2id"), ("#aes256-cbc", "#aes256-gcm"), ('count="1000"', 'count="1000000000"')):
        changed = with_part(data, "META-INF/manifest.xml", manifest.replace(old, new))
        with pytest.raises(UnsupportedFormat, match=r"^a\.odt: is encrypted in a way that is not known"):
            extract(changed, "a.odt", Reading(password="geheim"))


def test_an_encrypted_part_larger_than_allowed_is_refused() -> None:
    data = locked("geheim", "aes")
    manifest = part_of(data, "META-INF/manifest.xml").replace('m:size="', 'm:size="999999')
    with pytest.raises(LimitExceeded, match=r"^a\.odt: unpacks to .* MiB, the limit is"):
        extract(with_part(data, "META-INF/manifest.xml", manifest), "a.odt", Reading(password="geheim"))


def test_damage_and_kinds_without_text_are_refused() -> None:
    for content, error, words in (
        ("<a/>", CorruptDocument, "has no content"),
        ("<a", CorruptDocument, "no XML that can be read"),
        (f"<office:document-content {ODF}><office:body><office:database/></office:body></office:document-content>",
         UnsupportedFormat, "is an OpenDocument database"),
        (f'<!DOCTYPE a [<!ENTITY a "newts">]><office:document-content {ODF}/>', CorruptDocument, "declares entities"),
    ):  # fmt: skip
        with pytest.raises(error, match=rf"^a\.odt: .*{words}"):
            extract(packed({"content.xml": content}), "a.odt")


def test_elements_nested_as_deep_as_the_parser_takes_them_are_read_once_each() -> None:
    for opening, closing in (
        ("<text:p><text:note><text:note-body>", "</text:note-body></text:note></text:p>"),
        ("<text:p><draw:frame><draw:text-box>", "</draw:text-box></draw:frame></text:p>"),
        ("<text:list><text:list-item>", "</text:list-item></text:list>"),
        ("<table:table><table:table-row><table:table-cell>", "</table:table-cell></table:table-row></table:table>"),
        ("<text:section>", "</text:section>"),
    ):
        words = f"newts {'swim ' * 20}"  # beside very many signs fewer are no text
        extracted = extract(text_document(f"{opening * 75}<text:p>{words}</text:p>{closing * 75}"), "a.odt")
        assert extracted.text.count("newts") == 1


def test_an_object_that_is_shown_a_thousand_times_is_read_once() -> None:
    frame = '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>'
    math = '<math xmlns="http://www.w3.org/1998/Math/MathML"><mi>newts</mi></math>'
    assert extract(with_part(text_document(frame * 1000), "Object 1/content.xml", math), "a.odt").text == "newts"
