"""Numbers of a text in one form, and which of a claim's numbers the evidence does not have.

Known: thousands separators, decimals, percent, magnitudes ("9.8 million"), currencies and common units, number words up
to twenty, ordinals, decades, dates in four forms, times, versions ("3.10" is not 3.1), and bounds ("more than 60" holds
where the evidence says 66). English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from evals.sentences import plain

_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
WORD_VALUES = {word: n for words in (_WORDS, _ORDINALS) for n, word in enumerate(words.split())}
# As often a pronoun or an adverb as a number: a claim may use them freely, but in the evidence they count.
_LOOSE_WORDS = frozenset(("zero", "one", "first", "second"))
_MAGNITUDES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "mn": 6, "bn": 9}
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_MONTH = (
    r"(?:Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
# One unit a line, its names as they are written after a number.
_UNIT_NAMES = """
% percent cent pct
$ usd dollar dollars
\u20ac eur euro euros
\u00a3 gbp
ms millisecond milliseconds
second seconds sec secs s
minute minutes min mins
hour hours h hr hrs
day days
week weeks
month months
year years yr yrs
bar
psi
v volt volts
w watt watts
kw kilowatt kilowatts
kg kilogram kilograms
g gram grams
mg milligram milligrams
mm millimetre millimetres millimeter millimeters
cm centimetre centimetres centimeter centimeters
m metre metres meter meters
km kilometre kilometres kilometer kilometers
mile miles
l litre litres liter liters
ml millilitre millilitres milliliter milliliters
\u00b0c celsius
\u00b0f fahrenheit
byte bytes
kb kilobyte kilobytes
mb megabyte megabytes
gb gigabyte gigabytes
kib
mib
gib
"""
_UNITS = {name: names.split()[0] for names in _UNIT_NAMES.strip().splitlines() for name in names.split()}
_FIND = re.compile(
    rf"""(?<![\w.])(?<![A-Za-z]-)(?:
      (?P<iso>\d{{4}}-\d{{2}}-\d{{2}})(?!\d)
    | (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\b(?:\s*,?\s*(?P<y1>\d{{4}})\b)?
    | (?P<m2>{_MONTH})\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:\s*,?\s*(?P<y2>\d{{4}})\b)?
    | (?P<m3>{_MONTH})\s*,?\s+(?P<y3>\d{{4}})\b
    | (?P<version>v\d+(?:\.\d+)*|\d+(?:\.\d+){{2,}})\b
    | (?P<time>\d{{1,2}}:\d{{2}})(?![\d:])
    | (?P<decade>\d{{3}}0s)\b
    | (?P<currency>[$\u20ac\u00a3])?\s?(?P<number>-?(?:\d{{1,3}}(?:[,\ ]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?)(?:st|nd|rd|th)?
    | (?P<word>(?i:{"|".join(WORD_VALUES)}))\b
    )""",
    re.VERBOSE,
)
_MAGNITUDE = re.compile(rf"\s?-?({'|'.join(_MAGNITUDES)})\b", re.IGNORECASE)
# A unit stands at once after its number, or after one word between ("2,000 operating hours").
_UNIT = re.compile(r"\s?-?(?:per (?=cent))?(%|\u00b0?[A-Za-z]+)(?:[\s-]([A-Za-z]{3,}))?")
_VERSION_OF = re.compile(r"(?:\b(?:version|release)|\b[A-Z][A-Za-z]+)\s$")
_RANGE = re.compile(r"\s*(?:-|to|and|or)\s*")  # "2,000 to 2,500 hours": both are hours
_ABOVE = re.compile(
    r"(?:more than|over|above|at least|exceed\w*|greater than|older than|minimum of)\s+$", re.IGNORECASE
)
_BELOW = re.compile(r"(?:less than|under|below|fewer than|at most|younger than|maximum of)\s+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written at `start`. `value` is canonical: "2000", "2.5", "3.10" (a version), "2024-03-05" (a date;
    "?" is what it does not say)."""

    start: int
    text: str
    kind: Literal["number", "version", "date"]
    value: str
    unit: str | None = None
    bound: Literal["above", "below"] | None = None
    loose: bool = False


def numbers(text: str) -> list[Number]:
    """All numbers of `text`, in order; start offsets are those of `text`."""
    text = plain(text)
    found = list(_found(text))
    for i, (number, following) in enumerate(pairwise(found)):
        if number.unit is None and _RANGE.fullmatch(text, number.start + len(number.text), following.start):
            found[i] = replace(number, unit=following.unit)
    return found


def missing_numbers(claim: Sequence[Number], evidence: Sequence[Number]) -> list[Number]:
    """The numbers of the claim that the evidence has no equal of, nor one that its bound covers."""
    return [n for n in claim if not n.loose and not any(_covers(e, n) for e in evidence)]


def counterpart(missing: Number, evidence: Sequence[Number], claim: Sequence[Number]) -> Number | None:
    """The number that stands in the evidence where the claim has `missing`: of its kind and unit, and the only one that
    the claim does not have too."""
    others = [
        e
        for e in evidence
        if e.kind == missing.kind and e.unit == missing.unit and not e.loose and not any(_covers(e, n) for n in claim)
    ]
    return others[0] if len({e.value for e in others}) == 1 else None


def _found(text: str) -> Iterator[Number]:
    for match in _FIND.finditer(text):
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        written = match.group().strip()
        if match["iso"]:
            yield Number(start, written, "date", written)
        elif date := _date(match):
            yield Number(start, written, "date", date)
        elif match["version"]:
            yield Number(start, written, "version", written.lstrip("v"))
        elif match["time"] or match["decade"]:
            yield Number(start, written, "number", written)
        elif match["word"]:
            yield _with_unit(text, match, Number(start, written, "number", str(WORD_VALUES[written.lower()])))
        elif "." in match["number"] and _VERSION_OF.search(text[max(0, start - 30) : start]) and not match["currency"]:
            plain_number = _with_unit(text, match, Number(start, written, "number", _canonical(match["number"])))
            yield plain_number if plain_number.unit else Number(start, written, "version", written)
        else:
            yield _with_unit(text, match, Number(start, written, "number", _canonical(match["number"])))


def _date(match: re.Match[str]) -> str | None:
    for form in "123":
        if month := match[f"m{form}"]:
            day = "?" if form == "3" else f"{int(match[f'd{form}']):02}"
            number = _MONTHS.index(month[:3].lower()) // 3 + 1
            return f"{match[f'y{form}'] or '?'}-{number:02}-{day}"
    return None


def _canonical(written: str) -> str:
    value = Decimal(written.replace(",", "").replace(" ", ""))
    return f"{value.normalize():f}"


def _with_unit(text: str, match: re.Match[str], number: Number) -> Number:
    """The number with what stands around it: magnitude, unit, bound."""
    end, value, unit = match.end(), Decimal(number.value), None
    if magnitude := _MAGNITUDE.match(text, end):
        value, end = value.scaleb(_MAGNITUDES[magnitude[1].lower()]), magnitude.end()
    if match["currency"]:
        unit = match["currency"]
    elif after := _UNIT.match(text, end):
        unit = _UNITS.get(after[1].lower()) or _UNITS.get((after[2] or "").lower())
    before = text[max(0, number.start - 20) : number.start]
    return replace(
        number,
        text=text[number.start : end],
        value=f"{value.normalize():f}",
        unit=unit,
        bound="above" if _ABOVE.search(before) else "below" if _BELOW.search(before) else None,
        loose=number.text.lower() in _LOOSE_WORDS and unit is None,
    )


def _covers(evidence: Number, claim: Number) -> bool:
    if claim.kind == "date" and evidence.kind == "date":
        return all(c in (e, "?") for c, e in zip(claim.value.split("-"), evidence.value.split("-"), strict=True))
    if evidence.kind == "date":  # "in 2024", of 2024-03-05
        return claim.kind == "number" and claim.unit is None and claim.value == evidence.value.split("-")[0]
    if claim.kind == "date" or (claim.unit and evidence.unit and claim.unit != evidence.unit):
        return False
    if claim.value == evidence.value:
        return True
    if claim.bound is None or claim.kind != "number" or evidence.kind != "number" or claim.unit != evidence.unit:
        return False
    if not (_is_plain(claim.value) and _is_plain(evidence.value)):
        return False
    difference = Decimal(evidence.value) - Decimal(claim.value)
    return difference > 0 if claim.bound == "above" else difference < 0


def _is_plain(value: str) -> bool:
    return value.replace(".", "", 1).lstrip("-").isdigit()
