from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.numbers import counterpart, missing_numbers, numbers

MONTHS = "January February March April May June July August September October November December"


def missing(claim: str, evidence: str) -> list[str]:
    return [number.text for number in missing_numbers(numbers(claim), numbers(evidence))]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("2,000 operating hours", "2000", "hour"),
        ("2\u202f000 h", "2000", "hour"),
        ("2.50 bar", "2.5", "bar"),
        ("50%", "50", "%"),
        ("50 per cent", "50", "%"),
        ("50 percent", "50", "%"),
        ("9.8 million albums", "9800000", None),
        ("$ 73 million", "73000000", "$"),
        ("\u20ac5", "5", "\u20ac"),
        ("-5 \u00b0C", "-5", "\u00b0c"),
        ("\u22125 \u00b0C", "-5", "\u00b0c"),
        ("100ms", "100", "ms"),
        ("twelve months", "12", "month"),
        ("the 3rd time", "3", None),
        ("the third time", "3", None),
        ("the 1990s", "1990s", None),
        ("at 10:30", "10:30", None),
        ("v1.2.0", "1.2.0", None),
        ("127.0.0.1", "127.0.0.1", None),
        ("Python 3.10", "3.10", None),
        ("version 3.10", "3.10", None),
        ("Pump 3.10 bar", "3.1", "bar"),
        ("on 2024-03-05", "2024-03-05", None),
        ("on 5 March 2024", "2024-03-05", None),
        ("on the 5th of March 2024", "2024-03-05", None),
        ("on March 5, 2024", "2024-03-05", None),
        ("in March 2024", "2024-03-?", None),
        ("on Sept. 5", "?-09-05", None),
    ],
)
def test_one_number_is_read_with_its_unit(text: str, value: str, unit: str | None) -> None:
    assert [(number.value, number.unit) for number in numbers(text)] == [(value, unit)]


@pytest.mark.parametrize("month", range(1, 13))
def test_months_are_counted(month: int) -> None:
    assert [n.value for n in numbers(f"in {MONTHS.split()[month - 1]} 2024")] == [f"2024-{month:02}-?"]


@pytest.mark.parametrize("text", ["utf-8", "the A330", "COVID-19", "GNB1", "may be", "no digits"])
def test_digits_of_names_are_no_numbers(text: str) -> None:
    assert numbers(text) == []


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("2000 hours", "2,000 operating hours"),
        ("two pumps", "2 pumps"),
        ("20 pumps", "twenty pumps"),
        ("in 2024", "on 2024-03-05"),
        ("in March 2024", "on 5 March 2024"),
        ("on 5 March", "2024-03-05"),
        ("more than 60 cases", "66 cases"),
        ("at least 60 cases", "60 cases"),
        ("under 23.5 million sales", "23 million sales"),
        ("half of the 50 %", "50 per cent"),
        ("one of them", "some of them"),
        ("the first of them", "some of them"),
        ("5 apples", "5 kg"),
        ("Python 3.11", "Python 3.11 or newer"),
        ("v3.11", "3.11"),
    ],
)
def test_number_that_the_evidence_has_is_not_missing(claim: str, evidence: str) -> None:
    assert missing(claim, evidence) == []


@pytest.mark.parametrize(
    ("claim", "evidence", "text"),
    [
        ("3,000 hours", "2,000 hours", "3,000"),
        ("20 pumps", "2 pumps and 0 valves", "20"),
        ("2 bar", "2 hours", "2"),
        ("Python 3.1", "Python 3.10 or 3.11", "3.1"),
        ("on 6 March 2024", "on 2024-03-05", "6 March 2024"),
        ("five years", "since 5 March 2024", "five"),
        ("2024 hours", "since 5 March 2024", "2024"),
        ("more than 70 cases", "66 cases", "70"),
        ("less than 60 cases", "66 cases", "60"),
        ("in 2018", "in 2017", "2018"),
        ("the 1990s", "the 1980s", "1990s"),
        ("one hour", "some hours", "one"),
    ],
)
def test_number_that_the_evidence_lacks_is_missing(claim: str, evidence: str, text: str) -> None:
    assert missing(claim, evidence) == [text]


@pytest.mark.parametrize(
    ("claim", "evidence", "other"),
    [
        ("It lasts 3,000 hours.", "It lasts 2,000 hours at 5 bar.", "2,000"),
        ("It lasts 3,000 hours at 5 bar.", "It lasts 2,000 hours at 5 bar.", "2,000"),
        ("It lasts 3,000 hours.", "It lasts 2,000 to 2,500 hours.", None),
        ("It lasts 3,000 hours.", "It lasts 20 days.", None),
        ("It began on 6 March 2024.", "It began on 5 March 2024 at 7 bar.", "5 March 2024"),
    ],
)
def test_counterpart_is_the_only_other_number_of_its_kind(claim: str, evidence: str, other: str | None) -> None:
    claimed, found = numbers(claim), numbers(evidence)
    [gone] = missing_numbers(claimed, found)
    number = counterpart(gone, found, claimed)
    assert (number.text if number else None) == other


@given(st.text(alphabet=st.sampled_from("0129.,:- vMay%$one\u00b2\u0663\uff11"), max_size=40) | st.text(max_size=40))
def test_numbers_of_any_text_stand_where_they_say_and_cover_themselves(text: str) -> None:
    found = numbers(text)
    for number in found:
        assert len(number.text) > 0
        assert 0 <= number.start <= len(text) - len(number.text)
    assert missing_numbers(found, found) == []
