"""Numbers of spreadsheets as their cells show them: number format codes of Excel (ECMA-376 part 1, 18.8.31).

Dates come out in ISO order, whatever their format: 03/04/2024 could be read two ways. Conditions and fractions in a
format are passed over, and the number is shown plainly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

GENERAL = "General"
# The formats that a file may name by number without spelling them out (18.8.30).
# fmt: off
BUILT_IN = {
    0: GENERAL, 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)", 41: "#,##0", 42: "$#,##0", 43: "#,##0.00", 44: "$#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss",
    47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
}
# fmt: on
_TOKEN = re.compile(r'"([^"]*)"?|\\(.?)|[_*].?|\[([^\]]*)\]?|(General)|(AM/PM|A/P)|(E[+-])|(.)', re.I | re.S)
_WHITE = re.compile(r"white|color ?2", re.I)
_PLACEHOLDERS = ("0", "#", "?")
_DATE_LETTERS = frozenset("ymdhs")
_ELAPSED = frozenset(("h", "hh", "m", "mm", "s", "ss"))
_LARGEST_EXACT = 1e15  # Excel keeps 15 significant digits
_LONGEST_CODE = 255  # that Excel writes
_MAX_DECIMALS = 30


@dataclass(frozen=True, slots=True)
class _Section:
    """One of the up to four parts of a format: for positive and negative numbers, zeros, and text."""

    before: str = ""
    after: str = ""
    digits: str = ""  # the placeholders, with the point and the commas
    inside: tuple[tuple[int, str], ...] = ()  # literals between placeholders, and how many of those stand before each
    letters: str = ""  # of a date, in their order, without repetitions
    elapsed: bool = False
    percent: int = 0
    exponent: bool = False
    plain: bool = False  # General, or what is not read here
    white: bool = False  # the colour that it gives

    @property
    def empty(self) -> bool:
        return not (self.before or self.after or self.digits or self.letters or self.plain)

    @property
    def blank(self) -> bool:
        """Whether it shows white space alone."""
        return not ((self.before + self.after).strip() or self.digits or self.letters or self.plain)


def shown(value: float, code: str, since_1904: bool = False) -> str:
    """`value` as a cell of the format `code` shows it; "" where the format hides it."""
    if not math.isfinite(value):
        return plain(value)
    sections = _sections(code)
    section, own_sign = _chosen(value, sections)
    if section.letters:
        return _date(value, section, since_1904)
    if section.empty:
        return ""
    sign = "-" if value < 0 and not own_sign else ""
    if section.plain or not section.digits:
        number = plain(abs(value)) if section.plain else ""
    else:
        number = _digits(abs(value), section)
    return f"{sign}{section.before}{number}{section.after}".strip()


def plain(value: float) -> str:
    """A number without a format: whole numbers without a point, others with up to 15 significant digits."""
    if value == int(value) if abs(value) < _LARGEST_EXACT else False:
        return str(int(value))
    return f"{value:.15g}"


def hides_text(code: str) -> bool:
    """Whether cells of this format show no text, as those of ";;;" and `0;0;0;" "` don't."""
    sections = _sections(code)
    return len(sections) > 3 and (sections[3].empty or sections[3].blank)


def whitens(value: float | None, code: str) -> bool:
    """Whether cells of this format show the number, or a text where it is None, in white."""
    if "[" not in code:
        return False
    sections = _sections(code)
    if value is not None:
        return _chosen(value, sections)[0].white
    return sections[3].white if len(sections) > 3 else len(sections) == 1 and sections[0].white and sections[0].plain


def _chosen(value: float, sections: tuple[_Section, ...]) -> tuple[_Section, bool]:
    """The section for `value`, and whether it says by itself that a number is negative."""
    if value < 0 and len(sections) > 1:
        return sections[1], True
    if value == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], False


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    if len(code) > _LONGEST_CODE:
        return (_Section(plain=True),)
    found: list[_Section] = []
    tokens: list[re.Match[str]] = []
    for token in _TOKEN.finditer(code):
        if token[7] == ";":
            found.append(_section(tokens))
            tokens = []
        else:
            tokens.append(token)
    found.append(_section(tokens))
    return tuple(found)


def _section(tokens: list[re.Match[str]]) -> _Section:
    before: list[str] = []
    after: list[str] = []
    digits: list[str] = []
    letters: list[str] = []
    inside: list[tuple[int, str]] = []
    elapsed = exponent = general = white = False
    percent = 0
    for token in tokens:
        literal, escaped, bracket, is_general, half_day, power, other = token.groups()
        side = after if digits or general else before
        if other in _PLACEHOLDERS and after and not exponent:
            inside.append((len(digits), "".join(after)))
            after.clear()
        if literal is not None or escaped is not None:
            side.append(literal if literal is not None else escaped)
        elif bracket is not None:
            if bracket.lower() in _ELAPSED:
                elapsed = True
                letters.append(bracket[0].lower())
            elif bracket.startswith("$"):
                side.append(bracket[1:].partition("-")[0])
            elif bracket[:1] in "<>=":
                general = True
            elif _WHITE.fullmatch(bracket):
                white = True
        elif is_general:
            general = True
        elif half_day:
            letters.append("h")
        elif power:
            exponent = bool(digits)
        elif exponent and other in _PLACEHOLDERS:
            continue  # digits of the power
        elif other is None:
            continue  # room as wide as a character, or a character repeated to fill the cell
        elif other.lower() in _DATE_LETTERS and not digits:
            letters.append(other.lower())
        elif other in _PLACEHOLDERS or (other in ".," and (digits or other == ".")):
            digits.append(other)
        elif other == "/" and digits:
            general = True
        elif other == "%":
            percent += 1
            side.append(other)
        elif other == "@":
            general = True
        else:
            side.append(other)
    if general:
        return _Section(plain=True, white=white)
    kinds = "".join(dict.fromkeys(letters))
    if kinds:
        return _Section(letters=_minutes(kinds), elapsed=elapsed, white=white)
    return _Section(
        "".join(before), "".join(after), "".join(digits), tuple(inside), percent=percent, exponent=exponent, white=white
    )


def _minutes(kinds: str) -> str:
    """`m` is minutes beside hours or seconds, unless there is a date too: then it is months."""
    if "m" in kinds and ("h" in kinds or "s" in kinds) and not ("y" in kinds or "d" in kinds):
        return kinds.replace("m", "")
    return kinds


def _digits(value: float, section: _Section) -> str:
    if section.inside and "." not in section.digits:
        return _between(value, section)
    digits = section.digits
    if value == 0 and "0" not in digits:
        return ""
    while digits.endswith(","):  # each divides by a thousand
        digits, value = digits[:-1], value / 1000
    whole, _, decimals = digits.partition(".")
    places = min(sum(mark in _PLACEHOLDERS for mark in decimals), _MAX_DECIMALS)
    needed = min(decimals.count("0"), places)
    if section.exponent:
        mantissa, _, power = f"{value:.{places}E}".partition("E")
        return f"{mantissa}E{power}"
    value *= 100**section.percent
    number = f"{value:{',' if ',' in whole else ''}.{places}f}"
    if places > needed:
        kept = number.rstrip("0")
        point = number.index(".")
        number = number[: max(len(kept), point + 1 + needed)].rstrip(".")
    width = whole.replace(",", "").count("0")
    if width > 1 and "," not in number:
        whole_digits, point_sign, rest = number.partition(".")
        number = whole_digits.zfill(width) + point_sign + rest
    return number


def _between(value: float, section: _Section) -> str:
    """The digits of a telephone number or a key, with what stands between them in the format."""
    number = f"{value:.0f}".zfill(section.digits.count("0"))
    surplus = len(number) - len(section.digits)
    parts, start = [], 0
    for before, literal in section.inside:
        end = max(0, before + surplus)
        parts += [number[start:end], literal]
        start = end
    return "".join([*parts, number[start:]])


def _date(value: float, section: _Section, since_1904: bool) -> str:
    if section.elapsed:
        return _duration(value, section)
    try:
        moment = _moment(value, since_1904)
    except OverflowError:
        return plain(value)
    return " ".join(_written(moment, section.letters))


def _written(moment: datetime, letters: str) -> Iterator[str]:
    if "d" in letters or ("m" in letters and "y" not in letters):
        yield moment.strftime("%Y-%m-%d") if moment.year >= 1000 else moment.date().isoformat()
    elif "y" in letters:
        yield f"{moment.year:04}-{moment.month:02}" if "m" in letters else f"{moment.year:04}"
    if "h" in letters or "s" in letters:
        yield moment.strftime("%H:%M:%S" if moment.second or "s" in letters else "%H:%M")


def _duration(value: float, section: _Section) -> str:
    seconds = round(abs(value) * 86_400)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{seconds:02}" if "s" in section.letters else f"{sign}{hours}:{minutes:02}"


def _moment(value: float, since_1904: bool) -> datetime:
    """Day numbers count from 1904 or 1900, which Excel takes for a leap year. Raises OverflowError."""
    if value < 0:
        raise OverflowError
    days = value + 1462 if since_1904 else value
    start = datetime(1899, 12, 30) if days >= 61 else datetime(1899, 12, 31)
    return start + timedelta(seconds=round(days * 86_400))
