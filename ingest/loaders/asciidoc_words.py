"""What stands for other text in AsciiDoc: references to attributes (`{version}`), and footnotes within a sentence."""

from __future__ import annotations

import re

DEFINITION = re.compile(r":(!?)([\w-]{1,60})(!?):(?:[ \t]+(.*))?$")
_REFERENCE = re.compile(r"(\\?)\{([\w-]{1,60})\}")
_FOOTNOTE = re.compile(r"footnote(?:ref)?:([\w-]{0,60})\[((?:[^\]\[\\]|\\.|\[[^\]\[]{0,300}\]){0,2000})\]", re.S)
_LONGEST_VALUE = 1000  # attributes may stand in the values of others, each twice in the next
_MOST_DEFINED = 10_000
_SIGNS = {
    **{"amp": "&", "apos": "'", "asterisk": "*", "backslash": "\\", "backtick": "`", "brvbar": "¦", "caret": "^"},
    **{"deg": "°", "empty": "", "blank": "", "endsb": "]", "gt": ">", "ldquo": "\u201c", "rdquo": "\u201d"},
    **{"lsquo": "\u2018", "rsquo": "\u2019", "lt": "<", "nbsp": "\u00a0", "plus": "+", "quot": '"', "sp": " "},
    **{"startsb": "[", "tilde": "~", "vbar": "|", "wj": "\u2060", "zwsp": "\u200b", "cpp": "C++", "two-colons": "::"},
}


class Attributes:
    """The attributes defined so far. Replacing references to them adds at most `characters` to a document."""

    def __init__(self, characters: int) -> None:
        self._values = dict(_SIGNS)
        self._left = characters

    def define(self, definition: re.Match[str]) -> None:
        """Takes a line that `DEFINITION` matches; `:!name:` takes a definition back."""
        unset, name, unset_too, value = definition.groups()
        if unset or unset_too:
            self._values.pop(name.lower(), None)
        elif len(self._values) < _MOST_DEFINED:
            self._values[name.lower()] = self.replaced((value or "").strip())[:_LONGEST_VALUE]

    def replaced(self, line: str) -> str:
        """`line` with the values of what it refers to; what is not known stays as it is."""
        return _REFERENCE.sub(self._value, line) if "{" in line else line

    def _value(self, reference: re.Match[str]) -> str:
        if reference[1]:
            return reference[0][1:]
        value = self._values.get(reference[2].lower())
        if value is None or len(value) > self._left:
            return reference[0]
        self._left -= len(value)
        return value


class Footnotes:
    """Numbers footnotes in the order in which they are first referred to."""

    def __init__(self) -> None:
        self._count = 0
        self._named: dict[str, int] = {}
        self._waiting: list[str] = []

    def marked(self, text: str) -> str:
        """`text` with `[1]` in the place of each footnote, whose own text waits."""
        return _FOOTNOTE.sub(self._mark, text) if "footnote" in text else text

    def taken(self) -> list[str]:
        """The footnotes that wait, as lines."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _mark(self, found: re.Match[str]) -> str:
        name, text = found[1], " ".join(found[2].replace("\\]", "]").split())
        if not name and found[0].startswith("footnoteref"):
            name, _, text = text.partition(",")
        if not text and name in self._named:
            return f"[{self._named[name]}]"
        self._count += 1
        if name:
            self._named[name] = self._count
        if text:
            self._waiting.append(f"[{self._count}] {text.strip()}")
        return f"[{self._count}]"
