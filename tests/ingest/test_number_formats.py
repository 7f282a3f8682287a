from __future__ import annotations

import pytest

from ingest.loaders.number_formats import hides_text, plain, shown

# What Excel and LibreOffice Calc show, but for dates, which come in ISO order.
SHOWN = [
    (1234.5, "General", "1234.5"),
    (0.1 + 0.2, "General", "0.3"),
    (1e20, "General", "1e+20"),
    (-5, "0", "-5"),
    (7, "000", "007"),
    (1234.567, "#,##0.00", "1,234.57"),
    (-1234.567, "#,##0.00;(#,##0.00)", "(1,234.57)"),
    (1.5, "0.##", "1.5"),
    (1, "0.##", "1"),
    (0, "0.0#", "0.0"),
    (0, "#", ""),
    (12345678, '#,##0,,"M"', "12M"),
    (0.256, "0.0%", "25.6%"),
    (1234.5, "0.00E+00", "1.23E+03"),
    (1234, "[$€-407] #,##0.00", "€ 1,234.00"),
    (1234, "#,##0.00 [$€-407]", "1,234.00 €"),
    (1234.5, '_-* #,##0.00_-;-* #,##0.00_-;_-* "-"??_-;_-@_-', "1,234.50"),
    (0, '_-* #,##0.00_-;-* #,##0.00_-;_-* "-"??_-;_-@_-', "-"),
    (5551234567, "(000) 000-0000", "(555) 123-4567"),
    (5, "[Red]0", "5"),
    (3, '"yes";"no";"zero"', "yes"),
    (12, "@", "12"),
    (0.5, "# ?/?", "0.5"),
    (3, "[<5]0;0.0", "3"),
    (5, ";;;", ""),
    (45356, "yyyy-mm-dd", "2024-03-05"),
    (45356, "mm/dd/yy;@", "2024-03-05"),
    (45356.5, "m/d/yy h:mm", "2024-03-05 12:00"),
    (45356, 'yyyy"年"m"月"d"日"', "2024-03-05"),
    (45356, "mmm-yy", "2024-03"),
    (0.5, "h:mm AM/PM", "12:00"),
    (1.5, "[h]:mm:ss", "36:00:00"),
    (59, "yyyy-mm-dd", "1900-02-28"),
    (61, "yyyy-mm-dd", "1900-03-01"),
    (1e9, "yyyy-mm-dd", "1000000000"),
    (-1, "yyyy-mm-dd", "-1"),
    (float("nan"), "0.0", "nan"),
    (float("inf"), "[h]:mm", "inf"),
]


@pytest.mark.parametrize(("value", "code", "expected"), SHOWN)
def test_numbers_are_shown_as_their_cells_show_them(value: float, code: str, expected: str) -> None:
    assert shown(value, code) == expected


def test_dates_may_count_from_1904() -> None:
    assert shown(43894, "yyyy-mm-dd", since_1904=True) == "2024-03-05"


def test_numbers_without_a_format_have_at_most_15_digits() -> None:
    assert [plain(value) for value in (2.0, -0.5, 1 / 3, 1e300)] == ["2", "-0.5", "0.333333333333333", "1e+300"]


def test_only_a_fourth_empty_section_hides_text() -> None:
    assert [hides_text(code) for code in (";;;", "0;0;0;@", "0", "0;0;")] == [True, False, False, False]


def test_a_hostile_format_is_passed_over() -> None:
    assert shown(2, "[" * 10_000) == "2"
    assert shown(2, "0." + "0" * 250).startswith("2.0")
