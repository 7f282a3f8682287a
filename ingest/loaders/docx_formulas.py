"""Formulas of DOCX (OMML) in the notation of LaTeX, as far as the structure goes; characters stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.loaders.docx_names import M
from ingest.loaders.ooxml import local

_SIGNS = {"∑": "\\sum", "∏": "\\prod", "∫": "\\int", "∬": "\\iint", "∭": "\\iiint", "∮": "\\oint", "": "\\int"}
_SKIPPED = frozenset(
    ("ctrlPr", "rPr", "fPr", "radPr", "naryPr", "dPr", "sSupPr", "sSubPr", "sSubSupPr", "mPr", "accPr")
)
_ACCENTS = {"\u0302": "\\hat", "\u0304": "\\bar", "\u0305": "\\overline", "\u20d7": "\\vec", "\u0303": "\\tilde"}
_DOT = {"\u0307": "\\dot", "\u0308": "\\ddot"}


def formula(element: Any) -> str:
    """An `m:oMath` as text. Elements are at most 255 deep (the parser's limit), so recursion is safe."""
    return " ".join(_inside(element).split())


def _inside(element: Any | None) -> str:
    return "" if element is None else "".join(_node(child) for child in element)


def _node(node: Any) -> str:
    kind = local(node.tag)
    if kind == "t":
        return node.text or ""
    if kind in _SKIPPED or not kind:
        return ""
    write = _WRITERS.get(kind)
    return _inside(node) if write is None else write(node)


def _child(node: Any, name: str) -> str:
    return _inside(node.find(M + name))


def _group(text: str) -> str:
    return f"{{{text}}}"


def _fraction(node: Any) -> str:
    """A fraction; one without a bar is a binomial, and those that stand on the line have a stroke."""
    kind = _setting(node, "fPr", "type")
    above, below = _child(node, "num"), _child(node, "den")
    if kind == "noBar":
        return f"\\binom{_group(above)}{_group(below)}"
    if kind in ("lin", "skw"):
        return f"{_bracketed(above)}/{_bracketed(below)}"
    return f"\\frac{_group(above)}{_group(below)}"


def _bracketed(text: str) -> str:
    return text if text.replace(".", "").replace("\\", "").isalnum() else f"({text})"


def _scripts(node: Any) -> str:
    below, above = node.find(M + "sub"), node.find(M + "sup")
    text = _child(node, "e")
    text += "" if below is None else f"_{_group(_inside(below))}"
    return text + ("" if above is None else f"^{_group(_inside(above))}")


def _before(node: Any) -> str:
    return f"{{}}_{_group(_child(node, 'sub'))}^{_group(_child(node, 'sup'))}{_child(node, 'e')}"


def _root(node: Any) -> str:
    degree = _child(node, "deg")
    return f"\\sqrt{f'[{degree}]' if degree else ''}{_group(_child(node, 'e'))}"


def _operator(node: Any) -> str:
    sign = _setting(node, "naryPr", "chr") or "∫"
    below, above = _child(node, "sub"), _child(node, "sup")
    limits = (f"_{_group(below)}" if below else "") + (f"^{_group(above)}" if above else "")
    return f"{_SIGNS.get(sign, sign)}{limits}{'' if limits else ' '}{_child(node, 'e')}"


def _between(node: Any) -> str:
    opening, closing = _setting(node, "dPr", "begChr"), _setting(node, "dPr", "endChr")
    separator = _setting(node, "dPr", "sepChr") or "|"
    inside = separator.join(_inside(part) for part in node.iterchildren(M + "e"))
    return f"{'(' if opening is None else opening}{inside}{')' if closing is None else closing}"


def _function(node: Any) -> str:
    return f"{_child(node, 'fName')} {_child(node, 'e')}"


def _limit(node: Any) -> str:
    mark = "_" if local(node.tag) == "limLow" else "^"
    return f"{_child(node, 'e')}{mark}{_group(_child(node, 'lim'))}"


def _accent(node: Any) -> str:
    sign = _setting(node, "accPr", "chr") or "\u0302"
    name = _ACCENTS.get(sign) or _DOT.get(sign)
    return f"{name}{_group(_child(node, 'e'))}" if name else f"{_child(node, 'e')}{sign}"


def _matrix(node: Any) -> str:
    rows = (" & ".join(_inside(cell) for cell in row.iterchildren(M + "e")) for row in node.iterchildren(M + "mr"))
    return " \\\\ ".join(rows)


def _lines(node: Any) -> str:
    return " \\\\ ".join(_inside(line) for line in node.iterchildren(M + "e"))


def _setting(node: Any, properties: str, name: str) -> str | None:
    """The character that properties name; "" for none at all, None where they do not say."""
    element = node.find(f"{M}{properties}/{M}{name}")
    return None if element is None else element.get(M + "val") or ""


_WRITERS = {
    "f": _fraction,
    "sSub": _scripts,
    "sSup": _scripts,
    "sSubSup": _scripts,
    "sPre": _before,
    "rad": _root,
    "nary": _operator,
    "d": _between,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "acc": _accent,
    "m": _matrix,
    "eqArr": _lines,
}


def formulas(element: Any) -> Iterator[str]:
    """The formulas of an `m:oMathPara`, one after the other."""
    return (formula(its) for its in element.iterchildren(M + "oMath"))
