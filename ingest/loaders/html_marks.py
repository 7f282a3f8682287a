"""What a page shows without words of its own: pictures, text that is struck out, and the numbers of lists."""

from __future__ import annotations

import re
from typing import Any

from ingest.loaders.docx_numbering import written
from ingest.loaders.unseen import Unseen

_LONGEST_ALTERNATIVE = 300
_ICON_PIXELS = 24
_FILE_NAME = re.compile(r"\S+\.(?:avif|bmp|gif|ico|jpe?g|png|svg|tiff?|webp)", re.I)
_SAYS_NOTHING = frozenset(
    ("avatar", "banner", "icon", "image", "img", "logo", "photo", "picture", "screenshot", "spacer", "thumbnail")
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_STRUCK = ("del", "s", "strike")
_BLOCKS = ("p", "div", "ul", "ol", "li", "table", "pre", "section", "article", "blockquote", "dl", *_HEADINGS)
_KINDS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]{0,40}?\b(lower|upper)-(alpha|latin|roman)\b", re.I)


def mark_pictures(page: Any) -> None:
    """Gives each picture its alternative text, where that says something: `[picture: A heron by the pond]`."""
    captions: dict[Any, set[str]] = {}
    for picture in page.iter("img"):
        text = " ".join((picture.get("alt") or "").split())
        if not _tells(picture, text):
            continue
        figure = next(picture.iterancestors("figure"), None)
        if figure is not None:
            if figure not in captions:
                captions[figure] = {" ".join("".join(its.itertext()).split()) for its in figure.iter("figcaption")}
            if text in captions[figure]:
                continue
        if len(text) > _LONGEST_ALTERNATIVE:
            text = text[:_LONGEST_ALTERNATIVE].rsplit(maxsplit=1)[0] + "…"
        picture.text = f"[picture: {text}]"


def without_pictures(unseen: list[Unseen]) -> list[Unseen]:
    """What is unseen but for pictures: their texts are hidden from nobody. Colour and size of text hide no picture."""
    for its in unseen:
        if its.element.tag == "img" and its.how in ("colour", "size"):
            its.element.text = its.text
    return [its for its in unseen if its.element.tag != "img"]


def _tells(picture: Any, text: str) -> bool:
    if not any(map(str.isalpha, text)) or text.lower() in _SAYS_NOTHING or _FILE_NAME.fullmatch(text):
        return False
    if picture.get("role") in ("presentation", "none") or picture.get("aria-hidden") == "true":
        return False
    if any(_is_tiny(picture.get(side)) for side in ("width", "height")):
        return False
    return next(picture.iterancestors(*_HEADINGS), None) is None


def _is_tiny(size: str | None) -> bool:
    digits = (size or "").strip().removesuffix("px")
    return digits.isdecimal() and len(digits) < 5 and int(digits) <= _ICON_PIXELS


def mark_struck(page: Any) -> None:
    """Puts text that is struck out between the marks of Markdown: `~~100~~`."""
    for element in page.iter(*_STRUCK):
        if next(element.iterancestors(*_STRUCK), None) is not None or next(element.iter(*_BLOCKS), None) is not None:
            continue
        if not "".join(element.itertext()).strip():
            continue
        element.text = "~~" + (element.text or "").lstrip()
        if len(element):
            element[-1].tail = (element[-1].tail or "").rstrip() + "~~"
        else:
            element.text = element.text.rstrip() + "~~"


class ListNumbers:
    """The numbers of a list's items, as they are shown."""

    def __init__(self, element: Any) -> None:
        self._is_ordered = element.tag == "ol"
        style = _LIST_STYLE.search(element.get("style") or "")
        named = ("a" if style[2].lower() in ("alpha", "latin") else "i") if style else element.get("type") or ""
        self._kind = _KINDS.get(named.upper() if style and style[1].lower() == "upper" else named, "decimal")
        self._step = 1 if element.get("reversed") is None else -1
        items = 1 if self._step > 0 else sum(1 for _ in element.iterchildren("li"))
        self._next = _integer(element.get("start"), items)

    def next(self, item: Any) -> str:
        """What stands before the next item."""
        if not self._is_ordered:
            return "- "
        number = _integer(item.get("value"), self._next)
        self._next = number + self._step
        return f"{written(number, self._kind)}. "


def _integer(text: str | None, default: int) -> int:
    text = (text or "").strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and len(digits) < 10 else default
