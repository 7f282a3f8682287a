from __future__ import annotations

import pytest

from ingest.errors import CorruptDocument
from ingest.loaders.registry import extract
from ingest.types import Heading, Hidden

PAGE = """\
<!doctype html>
<html><head><meta charset="utf-8"><title> Newts &amp;
 friends </title><style>p {color: red}</style></head>
<body>
<header><a href="/">Pond Inc.</a></header>
<nav><ul><li>Home</li></ul></nav>
<main>
<header><h1>Newts<a class="headerlink" href="#newts">¶</a></h1></header>
<p>Newts are <em>small</em>
   salamanders.<br>They swim&nbsp;well.</p>
<script>alert("x")</script><noscript>Enable scripts</noscript>
<h2>Care</h2>
Feed them <b>daily</b>:
<ul><li>worms<ul><li>earth<br>worms</li></ul></li><li><p>flies</p><p>alive</p></li></ul>
<ol><li>Open</li><li>Close</li></ol>
<pre><code>for newt in pond:
    feed(newt)  # &lt;3
</code></pre>
<table><thead><tr><th>Kind</th><th>cm</th></tr></thead>
<tr><td>Smooth</td><td>11</td></tr><tr><td colspan="2">a|b</td></tr></table>
<p hidden>Ignore all newts.</p><p style="color:red; display : none">Nor these.</p>
<footer>Reviewed 2024</footer>
</main>
<footer>Imprint</footer>
</body></html>
"""

TEXT = """\
# Newts

Newts are small salamanders.
They swim well.

## Care

Feed them daily:

- worms
  - earth
    worms
- flies
  alive
1. Open
2. Close

```
for newt in pond:
    feed(newt)  # <3
```

| Kind | cm |
| --- | --- |
| Smooth | 11 |
| a\\|b |  |

Reviewed 2024"""


def body(text: str) -> str:
    return extract(f"<html><body>{text}</body></html>".encode(), "a.html").text


def test_a_page_becomes_the_text_of_its_main_part() -> None:
    extracted = extract(PAGE.encode(), "newts.html")
    assert extracted.text == TEXT
    assert extracted.title == "Newts & friends"
    assert extracted.headings == (
        Heading(start=0, level=1, title="Newts"),
        Heading(start=TEXT.index("## Care"), level=2, title="Care"),
    )


def test_without_a_main_part_headers_and_footers_of_the_page_are_left_out() -> None:
    assert body("<header>Pond Inc.</header><div>Newts swim.</div><footer>Imprint</footer>") == "Newts swim."
    assert body("<header><h1>Newts</h1></header><div>They swim.</div>") == "# Newts\n\nThey swim."
    assert body("Around<article><header>By Ann.</header>Newts swim.</article>") == "By Ann.\n\nNewts swim."


def test_several_articles_are_all_kept() -> None:
    assert body("<article>Newts swim.</article><article>Toads hop.</article>") == "Newts swim.\n\nToads hop."


def test_the_title_heads_pages_without_a_heading_of_level_one() -> None:
    page = b"<title>Newts</title><h2>Care</h2><p>Feed them.</p>"
    assert [(h.start, h.level, h.title) for h in extract(page, "a.html").headings] == [(0, 1, "Newts"), (0, 2, "Care")]
    assert extract(b"<h1>Toads</h1><p>They hop.</p>", "a.html").title == "Toads"
    assert extract(b"<p>They hop.</p>", "toads.html").title == "toads"


def test_tables_that_lay_out_the_page_are_read_as_paragraphs() -> None:
    assert body("<table><tr><td><h1>Newts</h1></td><td>They swim.</td></tr></table>") == "# Newts\n\nThey swim."
    inner = "<table><tr><td>a</td><td>b</td></tr></table>"
    assert body(f"<table><tr><td>Newts</td><td>{inner}</td></tr></table>") == "Newts\n\n| a | b |\n| --- | --- |"
    assert body("<table><tr><td>one</td></tr><tr><td>column</td></tr></table>") == "one\n\ncolumn"


def test_blocks_inside_cells_and_headings_keep_their_words_apart() -> None:
    assert body("<h2><div>Newts</div><div>and toads</div></h2><p>x</p>") == "## Newts and toads\n\nx"
    assert body("<table><tr><td><p>a</p><p>b</p></td><td>c<br>d</td></tr></table>") == "| a b | c d |\n| --- | --- |"


def test_a_huge_column_span_is_cut() -> None:
    row = '<tr><td colspan="999999999">a</td><td>b</td></tr>'
    assert body(f"<table>{row * 2}</table>") == "| a | b |\n| --- | --- |\n| a | b |"


def test_code_that_contains_fences_gets_a_longer_fence() -> None:
    assert body("<pre>```\ncode\n```</pre>") == "````\n```\ncode\n```\n````"


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ('<meta charset="utf-8">', "utf-8"),
        ('<meta charset="iso-8859-1">', "cp1252"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">', "cp1252"),
        ('<?xml version="1.0" encoding="iso-8859-15"?>', "iso-8859-15"),
        ('<meta charset="iso-8859-1">', "utf-8"),  # says one thing and is another
        ('<meta charset="utf-8">', "cp1252"),
        ('<meta charset="rot13">', "utf-8"),
        ('<meta charset="nonsense">', "utf-8"),
        ("", "utf-16"),
        ("", "cp1252"),
        ("", "utf-8"),
    ],
)
def test_encodings_of_pages(declaration: str, encoding: str) -> None:
    page = f"{declaration}<p>Molche fressen Würmer für ihr Leben gern.</p>".encode(encoding)
    assert extract(page, "a.html").text == "Molche fressen Würmer für ihr Leben gern."


def test_declared_encodings_of_other_scripts_are_used() -> None:
    for encoding, text in (
        ("windows-1251", "Тритоны плавают."),
        ("shift_jis", "イモリは泳ぐ。"),
        ("iso-2022-jp", "井守"),
    ):
        page = f'<meta charset="{encoding}"><p>{text}</p>'.encode(encoding)
        assert extract(page, "a.html").text == text


def test_a_page_in_another_encoding_than_declared_is_read_by_its_bytes() -> None:
    page = f'<meta charset="utf-8"><p>{"Тритоны плавают в пруду. " * 20}</p>'.encode("cp1251")
    assert extract(page, "a.html").text == " ".join(["Тритоны плавают в пруду."] * 20)


def test_xhtml_with_elements_closed_at_once_keeps_what_follows_and_reads_no_entity() -> None:
    page = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html [<!ENTITY newt SYSTEM "file:///etc/hostname">]>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/></head>
<body><p>Newts &newt; swim.</p></body></html>"""
    assert extract(page, "a.xhtml").text == "Newts &newt; swim."


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE html [<!ENTITY z "x">]>',
        '<?xml version="1.0"?>\n<!doctype html [\n<!ENTITY y "]>">\n<!ENTITY z \'"]>\'>\n] >',
        "<!DOCTYPE html [<!-- it's a ]> --><?p isn't ]> ?>%all;<!ELEMENT p (#PCDATA)>]>",
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" \'a>b[c\' [<!ATTLIST p a CDATA "]">]>',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN">',
        "<!doctype html>",
        '<!DOCTYPE html "no end><meta name="a">',
        '<!-- <!DOCTYPE a [ --><script>"<!DOCTYPE a ["</script>',
    ],
)
def test_no_markup_of_a_dtd_reaches_the_text(declaration: str) -> None:
    assert extract(f"{declaration}\n<p>&z; swim.</p>".encode(), "a.html").text == "&z; swim."
    assert extract(f"<p>Newts</p>{declaration}<p>swim.</p>".encode(), "a.html").text == "Newts\n\nswim."


@pytest.mark.parametrize("rest", ['<!ENTITY z "x>]><p>Newts</p>', "<!-- ]><p>Newts</p>", "<p>Newts</p>"])
def test_a_dtd_without_an_end_is_refused(rest: str) -> None:
    with pytest.raises(CorruptDocument, match=r"^a\.html: the DTD .* has no end"):
        extract(f"<!DOCTYPE html [{rest}".encode(), "a.html")


def test_a_page_nested_too_deeply_is_refused_rather_than_cut_off() -> None:
    assert body("<div>" * 200 + "deep" + "</div>" * 200 + "<p>after</p>") == "deep\n\nafter"
    with pytest.raises(CorruptDocument, match=r"^a\.html: .*nested"):
        body("<div>" * 400 + "deep" + "</div>" * 400 + "<p>after</p>")


def seen_and_hidden(text: str) -> tuple[str, list[tuple[str, str]]]:
    extracted = extract(f"<html><body>{text}</body></html>".encode(), "a.html")
    return extracted.text, [(one.how, one.text) for one in extracted.hidden]


@pytest.mark.parametrize(
    ("hiding", "how"),
    [
        ("hidden", "layer"),
        ('style="display: none !important"', "layer"),
        ('style="COLOR:red;visibility:hidden"', "layer"),
        ('style="opacity:0"', "layer"),
        ('style="opacity:0.00"', "layer"),
        ('style="font-size:0"', "size"),
        ('style="font-size:1px"', "size"),
        ('style="font:0/0 a"', "size"),
        ('style="height:0;overflow:hidden"', "size"),
        ('style="position:absolute;clip:rect(0,0,0,0)"', "size"),
        ('style="position:absolute;left:-9999px"', "off-page"),
        ('style="text-indent:-100em"', "off-page"),
        ('style="color:#fff"', "colour"),
        ('style="color:white;background:none"', "colour"),
        ('style="color:rgb(250, 250, 250)"', "colour"),
        ('style="color:#112233;background-color:#122334"', "colour"),
        ('style="color:transparent"', "colour"),
        ('style="color:rgba(0,0,0,0)"', "colour"),
    ],
)
def test_text_that_nobody_sees_is_hidden_text(hiding: str, how: str) -> None:
    assert seen_and_hidden(f"<p>Newts <b {hiding}>obey <i>me</i></b> swim.</p>") == ("Newts swim.", [(how, "obey me")])


@pytest.mark.parametrize(
    "style",
    [
        "color:#fff;background:#006",
        "color:#fff;background:url(dark.png)",
        "color:#eee0d0",
        "font-size:0.8em",
        "font:bold 0.9em/1.2 serif",
        "opacity:0.5",
        "left:-9999px",  # moves nothing that is not placed
        "margin-left:-600px",
        "height:300px;overflow:hidden",
        "display:block",
        "visibility:visible",
    ],
)
def test_text_that_is_seen_stays(style: str) -> None:
    assert seen_and_hidden(f'<p>Newts <b style="{style}">swim</b>.</p>') == ("Newts swim.", [])
    assert seen_and_hidden('<p aria-hidden="true">Newts swim.</p>') == ("Newts swim.", [])


def test_rules_of_the_page_s_own_style_sheet_hide_text_too() -> None:
    sheet = """<style>/* .a {display:none} */ @media print { .seen {display:none} }
    .x, p.gone { display : none } #far{position:fixed;top:-2000px} .dark{background:#000;color:#fff}
    em{color:#000}</style>"""
    text = '<p class="seen a">Newts</p><p class="b gone">one</p><div class="gone">swim.</div><i class="x">two</i>'
    assert seen_and_hidden(sheet + text) == ("Newts\n\nswim.", [("layer", "one two")])
    assert seen_and_hidden(sheet + '<p>Newts<b id="far">three</b></p>') == ("Newts", [("off-page", "three")])
    assert seen_and_hidden(sheet + '<div class="dark">A<em>four</em></div><em>five</em>') == (
        "A\n\nfive",
        [("colour", "four")],
    )


def test_what_is_visible_within_hidden_text_stays() -> None:
    assert seen_and_hidden('<div style="color:#fff">one<b style="color:#000">Newts</b>two</div>') == (
        "Newts",
        [("colour", "one two")],
    )
    assert seen_and_hidden('<div style="display:none">one<b style="display:block">two</b></div><p>Newts</p>') == (
        "Newts",
        [("layer", "one two")],
    )


def test_white_text_may_stand_on_what_another_style_sheet_colours() -> None:
    page = b'<head><link rel="stylesheet" href="a.css"></head><p class="band" style="color:#fff">Newts</p>'
    assert extract(page, "a.html").text == "Newts"


def test_hidden_navigation_is_not_hidden_text_but_navigation() -> None:
    assert seen_and_hidden('<nav style="display:none">Home</nav><p>Newts</p>') == ("Newts", [])
    page = b"<header><p hidden>menu</p></header><main><p>Newts</p><p hidden>obey</p></main>"
    assert extract(page, "a.html").hidden == (Hidden("layer", "obey"),)


def test_a_style_sheet_of_a_million_signs_ends() -> None:
    for sheet in ("{" * 300_000, "a" * 300_000, "/*" * 300_000, "@media{" * 100_000, "a{b:c}" * 100_000):
        assert seen_and_hidden(f"<style>{sheet}</style><p>Newts</p>") == ("Newts", [])


def test_a_switch_between_languages_is_navigation() -> None:
    switch = (
        '<ul><li><a hreflang="de" href="/de">Deutsch</a></li><li><a hreflang="fr" href="/fr">Français</a></li></ul>'
    )
    assert body(f"{switch}<p>Newts</p>") == "Newts"


def test_tables_with_header_cells_keep_their_rows_though_one_holds_a_table() -> None:
    inner = "<table><tr><th>Type</th><td>short</td></tr></table>"
    rows = f"<caption>Calls</caption><tr><th>Act</th><th>Sound</th></tr><tr><td>Quack</td><td>{inner}</td></tr>"
    assert body(f"<table>{rows}</table>") == "Calls\n\n| Act | Sound |\n| --- | --- |\n| Quack | Type short |"


def test_references_to_control_characters_do_no_harm() -> None:
    assert body("<p hidden>a&#1;</p><p>Newts&#8;<script></script>&#x1f; swim&#xfffe;.</p>") == "Newts swim."


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ('<img src="a.png" alt="A heron by  the pond">', "Seen: [picture: A heron by the pond] today."),
        ('<span style="font-size:0"><img alt="A heron"></span>', "Seen: [picture: A heron] today."),
        ('<img src="a.png" alt="">', "Seen: today."),
        ('<img alt="heron-2024.JPG">', "Seen: today."),
        ('<img alt="A heron" role="presentation">', "Seen: today."),
        ('<img alt="Open" width="16" height=16>', "Seen: today."),
        ('<img alt="A heron" style="display:none">', "Seen: today."),
    ],
)
def test_the_alternative_text_of_a_picture_stands_in_its_place(picture: str, expected: str) -> None:
    extracted = extract(f"<h1>Birds</h1><p>Seen: {picture} today.</p>".encode(), "a.html")
    assert (extracted.text, extracted.hidden) == (f"# Birds\n\n{expected}", ())


def test_a_caption_says_the_alternative_text_once() -> None:
    page = b"<figure><img alt='A heron'><figcaption>A <b>heron</b></figcaption></figure>"
    assert extract(page, "a.html").text == "A heron"


def test_the_alternative_text_of_a_picture_is_cut_where_it_is_long() -> None:
    text = extract(f"<p>x <img alt='{'heron ' * 1000}'>".encode(), "a.html").text
    assert len(text) < 330
    assert text.endswith("heron…]")


def test_text_that_is_struck_out_is_marked() -> None:
    page = """<p>Only <del>100</del> 80 euros, <s>not <b>90</b> </s>, or <strike><del>5</del></strike>.</p>
    <del><p>Gone</p></del>"""
    assert extract(page.encode(), "a.html").text == "Only ~~100~~ 80 euros, ~~not 90~~, or ~~5~~.\n\nGone"


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        ("<ol type=a start=3>", "c. worms\nd. flies"),
        ("<ol type=I>", "I. worms\nII. flies"),
        ('<ol style="list-style-type: lower-roman" start="4">', "iv. worms\nv. flies"),
        ("<ol reversed>", "2. worms\n1. flies"),
        ("<ol start=0>", "0. worms\n1. flies"),
        ("<ol type=a start=2000000000>", "a. worms\nb. flies"),
        ("<ol type=i start=200000000>", "200000000. worms\n200000001. flies"),
    ],
)
def test_items_of_a_list_are_numbered_as_they_are_shown(opening: str, expected: str) -> None:
    assert extract(f"{opening}<li>worms<li>flies</ol>".encode(), "a.html").text == expected


def test_an_item_may_state_its_number() -> None:
    assert extract(b"<ol><li>a<li value=7>b<li>c</ol>", "a.html").text == "1. a\n7. b\n8. c"


def test_a_page_with_one_very_long_run_of_text_is_read_whole() -> None:
    page = f"<h1>Newts</h1><p>{'newts ' * 1_800_000}swim</p><p>The end."
    text = extract(page.encode(), "a.html").text
    assert len(text) > 10_000_000
    assert text.endswith("swim\n\nThe end.")


def test_a_page_with_a_very_long_run_of_text_is_still_no_deeper_than_others() -> None:
    page = f"<p>{'newts ' * 1_800_000}</p>{'<div>' * 300}newts"
    with pytest.raises(CorruptDocument, match=r"a\.html: its elements are nested more than 255 deep"):
        extract(page.encode(), "a.html")


def test_a_run_of_text_that_xml_can_not_have_is_said_in_plain_words() -> None:
    with pytest.raises(CorruptDocument, match=r"a\.xml: one run of text in it, or one value, has more than 10 MB"):
        extract(f"<a><p>{'newts ' * 1_800_000}</p></a>".encode(), "a.xml")
