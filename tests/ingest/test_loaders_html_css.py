"""Ordinary CSS hides text of pages in many ways; what it does not hide stays."""

from __future__ import annotations

import base64
import time
from contextlib import suppress

import pytest

from ingest.errors import LimitExceeded
from ingest.loaders.registry import extract

DOCTYPE = "<!doctype html>"
LINK = '<link rel="stylesheet" href="a.css">'


def seen_and_hidden(body: str, head: str = "") -> tuple[str, list[tuple[str, str]]]:
    page = f"{DOCTYPE}<html><head>{head}</head><body>{body}</body></html>"
    extracted = extract(page.encode(), "a.html")
    return extracted.text, [(one.how, one.text) for one in extracted.hidden]


def is_hidden(sheet: str, body: str = '<div class="a"><p class="x" id="i" data-k="v">obey</p></div>') -> bool:
    """Whether the sheet hides "obey" and nothing else."""
    text, hidden = seen_and_hidden(f"<p>Newts</p>{body}<p>swim.</p>", f"<style>{sheet}</style>")
    assert [words for _, words in hidden] in ([], ["obey"])
    assert text.replace("\n", " ").split() == (["Newts", "swim."] if hidden else ["Newts", "obey", "swim."])
    return bool(hidden)


HIDE = "{display:none}"


@pytest.mark.parametrize(
    "selector",
    [
        ".a .x",
        ".a>.x",
        "p.x#i",
        "body div p",
        "body > :not(p) .x",
        ":not(.b):not(body):not(html):not(p)",
        ".a p:first-child",
        ".a :nth-child(odd)",
        ".a :nth-child(1 of .x)",
        ".a :nth-last-of-type(n+1)",
        ".a p:only-child",
        "p + .a",
        "p ~ .a > p",
        "[data-k]",
        "[data-k=v]",
        "[data-k^='v' i]",
        "[CLASS~='x']",
        ":is(.nothing, .x)",
        ":where(.x)",
        ".nothing, .x",
        ".a:has(> .x)",
        "div:has(.x)",
        r".\78 ",
        ".x:not(:hover)",
        "*|p.x",
        ".a/**/ .x",
        "html:root .x",
        ".x:lang(en), .x:not(:lang(en))",
    ],
)
def test_any_selector_may_hide(selector: str) -> None:
    assert is_hidden(selector + HIDE)


@pytest.mark.parametrize(
    "selector",
    [
        ".b .x",
        ".a + .x",
        ".x .a",
        ".x:hover",
        ".x::before",
        ".x:nth-child(2)",
        ".x:empty",
        ".X",
        ".x:nonsense",
        ".x,:?",
    ],
)
def test_a_selector_that_does_not_match_hides_nothing(selector: str) -> None:
    assert not is_hidden(selector + HIDE)


@pytest.mark.parametrize(
    "sheet",
    [
        "@media all{.x{display:none}}",
        "@media screen and (min-width:600px){.x{display:none}}",
        "@media (400px <= width < 3000px){.x{display:none}}",
        "@media print, screen{.x{display:none}}",
        "@media not print{.x{display:none}}",
        "@layer a{.x{display:none}}",
        "@supports (display:grid) and (not (display:nonsense)){.x{display:none}}",
        "@layer a{@media screen{@supports (top:0){.x{display:none}}}}",
        ".a{.x{display:none}}",
        ".a{& > .x{display:none}}",
        ".x{@media screen{display:none}}",
        "@scope (.a){.x{display:none}}",
        "<!-- .x{display:none} -->",
        "@import url(nothing.css);.x{display:none}",
        "@charset 'utf-8';.x{dis/**/play:block;display/**/:/**/none}",
        ".x{d\\69 splay:n\\6fne}",
        ".x{display:none;display:nonsense}",
        ".x{display:none!important}.a .x#i{display:block}",
        "#i{display:none}.x{display:block}",
        "@layer a{#i{display:block}}.x{display:none}",
        ".x{--d:none;display:var(--d)}",
        ".a{--d:none}.x{display:var(--e,var(--d))}",
        ".x{display:none",
        "}.y{}.x{display:none}",
    ],
)
def test_rules_hide_wherever_they_stand(sheet: str) -> None:
    assert is_hidden(sheet)


@pytest.mark.parametrize(
    "sheet",
    [
        "@media print{.x{display:none}}",
        "@media (max-width:500px){.x{display:none}}",
        "@media (prefers-color-scheme:dark){.x{display:none}}",
        "@supports not (display:grid){.x{display:none}}",
        "@supports (display:nonsense){.x{display:none}}",
        ".x{display:none}.x{display:block}",
        ".x{display:none}#i{display:revert}",
        ".x{display:block!important}.x{display:none}",
        "@layer a{.x{display:none}}.x{display:block}",
        "@layer b,a;@layer a{.x{display:block}}@layer b{.x{display:none}}",
        ".x{display:var(--nothing)}",
        ".x{--a:var(--b);--b:var(--a);display:var(--a)}",
        "@keyframes k{from{opacity:0}}",
        "/* .x{display:none} */",
    ],
)
def test_rules_that_do_not_hold_hide_nothing(sheet: str) -> None:
    assert not is_hidden(sheet)


HIDING = {
    "layer": [
        "visibility:collapse", "content-visibility:hidden", "opacity:.05", "opacity:5%", "filter:opacity(0)",
        "all:unset;display:none",
    ],
    "size": [
        "font:0/1 a", "font:italic bold 1px/2 serif", "font-size:.1em", "font-size:10%", "font-size:calc(1px - 1px)",
        "font-size:max(0px,1px)", "zoom:.1", "transform:scale(0)", "transform:rotate(3deg) scaleX(.01)", "scale:0",
        "transform:matrix(0,0,0,0,0,0)", "transform:rotateY(90deg)", "clip-path:circle(0)", "clip-path:inset(100%)",
        "clip-path:inset(50%)", "clip-path:polygon(0 0,0 0,0 0)", "clip-path:ellipse(0 9px at 0 0)",
        "position:absolute;clip:rect(1px,1px,1px,1px)", "max-height:0;overflow:hidden", "width:1px;overflow-x:clip",
    ],
    "off-page": [
        "margin-left:-9999px", "margin:0 0 0 -9999px", "text-indent:-9999px", "text-indent:100%;overflow:hidden",
        "position:fixed;inset:-9999px auto auto 0", "position:absolute;left:calc(-100vw * 9)", 
        "position:absolute;left:200vw;left:99999px",
        "transform:translate(-9999px)", "transform:translateX(-999vw)", 
        "translate:-9999px 0", "transform:translate3d(0,-9999px,0)",
    ],
    "colour": [
        "color:#ffffff01", "color:#fffe", "color:#fefefe", "color:floralwhite", "color:rgba(255 255 255/50%)",
        "color:rgb(100%,100%,100%)", "color:hsl(0,0%,100%)", "color:hsla(9,9%,9%,.01)", "color:hwb(0 100% 0%)", 
        "color:oklch(1 0 0)",
        "color:lab(100 0 0)", "-webkit-text-fill-color:#fff", "-webkit-text-fill-color:transparent",
        "background:#000", "background:papayawhip;color:papayawhip", "background:linear-gradient(#036,#036);color:#036",
        "color:canvas", "color:light-dark(white,black)", "color:transparent;text-shadow:1px 1px #fff",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("how", "style"), [(how, style) for how, styles in HIDING.items() for style in styles])
def test_any_property_that_hides_is_known(how: str, style: str) -> None:
    assert seen_and_hidden(f'Newts <b style="{style}">obey</b> swim.') == ("Newts swim.", [(how, "obey")])


@pytest.mark.parametrize(
    "style",
    [
        "opacity:.5",
        "color:#ffffff;background:#000;background:nonsense(",
        "color:#fff;color:#12;background:#888",
        "color:transparent;text-shadow:0 0 0 black",
        "color:transparent;background:linear-gradient(red,blue);-webkit-background-clip:text",
        "color:rgba(0,0,0,.3)",
        "transform:translateX(-100%)",
        "transform:scale(.5)",
        "font:bold 12px/1 a",
        "font:0",  # a font has a family
        "clip-path:inset(10%)",
        "clip:rect(0,0,0,0)",  # clips nothing that is not placed
        "height:0",
        "display:nonsense",
        "display:none none",
        "opacity:0 1",
        "color-scheme:dark;color:#fff",
        "color:#fff;background-image:url(dark.png)",
    ],
)
def test_what_can_be_seen_stays(style: str) -> None:
    assert seen_and_hidden(f'Newts <b style="{style}">swim</b>.') == ("Newts swim.", [])


@pytest.mark.parametrize(
    "hiding",
    [
        "<dialog>obey</dialog>",
        "<div popover>obey</div>",
        "<datalist id=a><option>obey</option></datalist>",
        "<noembed>obey</noembed>",
        "<noframes>obey</noframes>",
        "<video src=a>obey</video>",
        "<audio><p>obey</p></audio>",
        "<ruby>swim<rp>obey</rp></ruby>",
        '<div style="opacity:.3"><div style="opacity:.3">obey</div></div>',
        '<div style="font-size:.3em"><div style="font-size:.3em">obey</div></div>',
        '<body bgcolor="ffffff"><font color=fff>obey</font>',
    ],
)
def test_elements_that_show_nothing_hide_their_text(hiding: str) -> None:
    text, hidden = seen_and_hidden(f"<p>Newts</p>{hiding}")
    assert "obey" not in text
    assert "obey" in " ".join(words for _, words in hidden)


def test_elements_that_open_by_a_click_or_by_their_attributes_are_read() -> None:
    assert seen_and_hidden("<details><summary>Newts</summary>swim.</details>")[0] == "Newts\n\nswim."
    assert seen_and_hidden("<dialog open>Newts</dialog>") == ("Newts", [])
    assert seen_and_hidden('<p hidden style="display:block">Newts</p>') == ("Newts", [])
    assert seen_and_hidden('<div style="color:#fff">a<a href="b">Newts</a></div>') == ("Newts", [("colour", "a")])


def test_a_panel_is_read_that_a_tab_on_the_page_opens() -> None:
    tab = '<button role="tab" id="t" aria-controls="p">pip</button>'
    for panel in ('id="p" hidden', 'aria-labelledby="t" style="display:none"'):
        text, hidden = seen_and_hidden(f'{tab}<div role="tabpanel" {panel}>Newts<b style="display:none">obey</b></div>')
        assert "Newts" in text and hidden == [("layer", "obey")]
    alone = '<p>Newts</p><div role="tabpanel" id="p" hidden>obey</div>'
    for before in ("", tab.replace("<button", "<button hidden"), tab.replace('"p"', '"q"')):
        body = before + alone
        assert ("layer", "obey") in seen_and_hidden(body)[1]


def test_what_is_placed_anew_leaves_what_clips_it() -> None:
    clip = "overflow:hidden;width:0"
    fixed, absolute = "<p style='position:fixed'>Newts</p>", "<p style='position:absolute'>Newts</p>"
    assert seen_and_hidden(f"<div style='{clip};position:absolute'>obey{fixed}</div>") == ("Newts", [("size", "obey")])
    assert seen_and_hidden(f"<div style='{clip}'>obey{absolute}</div>") == ("Newts", [("size", "obey")])
    placed = f"<div style='{clip};position:relative'>{absolute}</div><p>swim.</p>"
    assert seen_and_hidden(placed) == ("swim.", [("size", "Newts")])


def test_a_style_sheet_that_can_not_be_read_switches_no_check_off() -> None:
    white = "<p>Newts</p><p style='color:#fff'>obey</p>"
    assert seen_and_hidden(white, LINK) == ("Newts", [("colour", "obey")])
    own = "<style>.x{color:#fff}</style>"
    assert seen_and_hidden("<p>Newts</p><p class=x>obey</p>", LINK + own) == ("Newts", [("colour", "obey")])
    assert seen_and_hidden("<p>Newts</p><p class=x>obey</p>", "<style>@import 'a.css';.x{top:0;display:none}</style>")[
        1
    ]
    assert seen_and_hidden("<header style='color:#fff'><h1>Newts</h1></header>", LINK) == ("# Newts", [])


def test_style_sheets_in_data_urls_are_read_and_those_for_print_are_not() -> None:
    packed = base64.b64encode(b".x{display:none}").decode()
    for head in (
        '<link rel="stylesheet" href="data:text/css,.x%7Bdisplay:none%7D">',
        f'<link rel="stylesheet" href="data:text/css;base64,{packed}">',
        f"<style>@import url(data:text/css;base64,{packed}) screen;</style>",
    ):
        assert seen_and_hidden("<p>Newts</p><p class=x>obey</p>", head) == ("Newts", [("layer", "obey")])
    for head in (
        '<style media="print">.x{display:none}</style>',
        "<noscript><style>.x{display:none}</style></noscript>",
        '<style type="text/less">.x{display:none}</style>',
        '<link rel="alternate stylesheet" href="data:text/css,.x%7Bdisplay:none%7D">',
    ):
        assert seen_and_hidden("<p class=x>Newts</p>", head) == ("Newts", [])


def test_siblings_are_counted_with_what_is_left_out_of_the_text() -> None:
    sheet = "<style>script + p, main p:nth-child(4){display:none}</style>"
    body = "<main><p>Newts</p><script></script><p>obey</p><p>me</p></main>"
    assert seen_and_hidden(body, sheet) == ("Newts", [("layer", "obey me")])


def test_without_a_document_type_classes_have_no_case() -> None:
    page = "<style>.Gone{display:none}</style><p>Newts</p><p class=gONE>obey</p>"
    assert extract(page.encode(), "a.html").text == "Newts"
    assert "obey" in extract((DOCTYPE + page).encode(), "a.html").text


DEEP = "<div>" * 200 + "<p class=x>Newts</p>" + "</div>" * 200
WIDE = "<i></i>" * 20_000 + "<p class=x>Newts</p>"


@pytest.mark.parametrize(
    ("sheet", "body"),
    [
        ("div " * 80 + ".nothing .x{display:none}", DEEP),
        ("div>div " * 40 + ".nothing .x{display:none}", DEEP),
        ("i~" * 60 + ".nothing~.x{display:none}", WIDE),
        ("i:nth-child(3n+1 of :not(:nth-last-child(2n of i))){display:none}", WIDE),
        (":is(" * 11 + "div div div" + ")" * 11 + " .nothing{display:none}", DEEP),
        ("--a:b;" * 50_000, WIDE),
        (".x{" + "--a0:none none;" + "".join(f"--a{n + 1}:var(--a{n})var(--a{n});" for n in range(60))
         + "display:var(--a60)}", DEEP),
        ("a{" * 50_000, DEEP),
        (".x{font-size:" + "calc(" * 50_000, DEEP),
        ("@media " + "(" * 50_000, DEEP),
        (":not(" * 50_000, DEEP),
    ],
)  # fmt: skip
def test_a_hostile_style_sheet_takes_no_time(sheet: str, body: str) -> None:
    began = time.process_time()
    with suppress(LimitExceeded):
        assert "Newts" in seen_and_hidden(body, f"<style>{sheet}</style>")[0]
    assert time.process_time() - began < 20


def test_more_rules_times_elements_than_can_be_matched_are_refused() -> None:
    sheet = "".join(f"* i:not(.a{number}){{display:block}}" for number in range(300))
    with pytest.raises(LimitExceeded, match=r"^a\.html: its style sheets are too large or too involved"):
        seen_and_hidden(WIDE, f"<style>{sheet}</style>")
