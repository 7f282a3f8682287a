"""Makes the PDF and the DOCX of `documents/` again from the plain text in this file.

    pip install fpdf2==2.8.9
    python examples/make_documents.py [FOLDER]

fpdf2 is needed by this script only and is no dependency of the project; python-docx comes with its `dev` extra. Dates
are fixed and nothing is random: the same versions of the libraries (and of zlib, for the DOCX) give the same bytes each
time.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import docx
from fpdf import FPDF  # type: ignore[import, unused-ignore]
from fpdf.enums import XPos, YPos  # type: ignore[import, unused-ignore]

AUTHOR = "Orrindale Pumps"

# Both texts: `#` chapter, `##` section, `-` and `1.` list items on a line each, `|` tables whose first row is the
# header, and else paragraphs; a blank line between blocks.
MANUAL_TITLE = "Dipper 65 manual"
MANUAL_DATE = datetime(2024, 11, 18, 9, 0, tzinfo=UTC)
MANUAL = """
Manual D65-M, issue 4, 18 November 2024. Orrindale Pumps, Low Harrin.

# Safety and technical data

## Purpose

The Dipper 65 pumps water for farms, car washes and small waterworks. It takes clean water of up to 60 °C with
grains of up to 5 mm. Sea water and petrol destroy the seal. For gardens and rainwater tanks take the smaller Dipper
40, which has a manual of its own.

## Technical data

| Property | Dipper 65 |
| Rated flow | 38 m³/h |
| Greatest head | 46 m |
| Motor power | 5.5 kW |
| Supply | 400 V, three phases, 50 Hz |
| Fuses | 3 x 20 A |
| Suction side | DN 80 |
| Outlet | DN 65 |
| Weight | 74 kg |
| Protection | IP55 |

## Safety

- Lift the Dipper 65 with a hoist, by both eyes. The sling must carry at least 150 kg.
- Never stand under the pump while it hangs.
- Do not start the motor without the guard of the coupling.
- Switch the pump off at the main switch and lock the switch before any work.
- The casing gets as hot as the water. Wear gloves when the water is hotter than 45 °C.

# Installation and first start

## Place

The Dipper 65 stands on a concrete plate at least 20 cm thick. Leave at least 50 cm between the motor fan and the
wall, and 1 m above the pump for the hoist.

## Pipes

The suction lift of the Dipper 65 must not exceed 6 m. Lay the suction pipe so that it rises towards the pump, and
support both pipes so that none of their weight rests on the casing. Fit a check valve behind the outlet.

## Coupling

Pump and motor of the Dipper 65 are joined by a coupling. Align it to 0.05 mm, once when the pipes are connected and
again when the pump is warm.

## Motor

Let a qualified electrician connect the motor. Switch it on for one second and look at the fan: it must turn
clockwise. If it turns the other way, exchange two phases.

## First start

1. Fill the casing of the Dipper 65 with 4.5 litres of clean water.
2. Look at the oil glass. The oil must stand in its middle.
3. Open the suction valve fully and the outlet valve by a quarter.
4. Switch the motor on. The pump draws water within 5 minutes.
5. Let the pump run in for 30 minutes with the outlet valve half open.
6. Switch it off and tighten the casing bolts once more.

# Operation and maintenance

## Operation

The Dipper 65 may be started at most 8 times an hour. It must not run against a closed valve for longer than 1
minute. Look for the cause when its vibration exceeds 4.5 mm/s. Stop the Dipper 65 at once when its vibration
exceeds 7.1 mm/s.

## Maintenance plan

| Work on the Dipper 65 | When | Needed |
| Check the oil level | every week | nothing |
| Change the oil | every 3,000 hours | 0.6 litres of oil ISO VG 46 |
| Replace the mechanical seal | every 6,000 hours | seal kit D65-210 |
| Replace the bearings | every 18,000 hours | bearing set D65-120 |

## Oil

The oil of the Dipper 65 is changed every 3,000 hours. It takes 0.6 litres of mineral oil ISO VG 46. Drain the old
oil while it is warm.

## Mechanical seal

The mechanical seal of the Dipper 65 is replaced every 6,000 hours. Tighten the casing bolts of the Dipper 65
crosswise to 42 Nm.

## Frost

Drain the Dipper 65 before the temperature falls below 2 °C. The oil stays in.

## Faults

| What you see | Likely cause | What to do |
| Little water | pump turns the wrong way | exchange two phases |
| Oil is milky | water in the bearing housing | replace the shaft seal ring D65-140 |
| Water drips at the shaft | mechanical seal worn out | replace seal kit D65-210 |
| Vibration above 4.5 mm/s | coupling out of line | align the coupling again |
"""

HANDBOOK_TITLE = "Workshop handbook"
HANDBOOK_DATE = datetime(2024, 9, 2, 9, 0, tzinfo=UTC)
HANDBOOK = """
Handbook H-W, issue 9, 2 September 2024. For the technicians of Orrindale Pumps in Low Harrin.

# Opening hours

The workshop is open from 7:00 to 16:30 from Monday to Thursday, and from 7:00 to 13:00 on Friday. The stores close
half an hour earlier. Technicians on the road reach the hotline at extension 240.

# Before any work on a pump

1. Switch the pump off at the main switch. Lock the switch with your own padlock and hang your tag on it.
2. Wait 5 minutes: the capacitor of a Dipper 40 holds its charge that long.
3. Measure that there is no voltage on any phase.
4. Close both valves and let the pressure out through the drain plug.
5. Only the person whose tag hangs on the switch may open the padlock.

# Repairs

## Arrival

A pump is accepted only with a return number. It is cleaned, photographed, and examined within 10 working days. A
customer with a Plus or a Harbour contract gets a loan pump for a Dipper 65; there are six of them.

## Pressure test

The casing of a Dipper 40 is tested with 6 bar, that of a Dipper 65 with 9 bar. No drop may leave it.

| Pump | Test pressure | Held for | Seal kit | Casing bolts |
| Dipper 40 | 6 bar | 10 minutes | D40-210 | 18 Nm |
| Dipper 65 | 9 bar | 15 minutes | D65-210 | 42 Nm |

## Test bench

Every repaired pump runs on the test bench for 45 minutes before it goes back. Flow, head and motor current are
written on its card, which the stores keep for 10 years.

## Torque wrenches

Torque wrenches are calibrated every 12 months. A wrench that fell down is calibrated before it is used again.

# Stores

- O-rings may be stored for 7 years, mechanical seals for 4 years.
- Rubber parts are kept in the dark, at 15 to 25 °C.
- An opened tin of lithium grease is used up within 12 months.
- Used oil goes into the red drum. It is collected on the first Tuesday of the month.

## What each van carries

| Part | Number | Pieces |
| Seal kit for the Dipper 40 | D40-210 | 4 |
| Seal kit for the Dipper 65 | D65-210 | 2 |
| Capacitor for the Dipper 40 | D40-330 | 3 |
| Oil ISO VG 46, 1 litre | D65-410 | 6 |
| Battery CR2032 for the Weir controller | WC-32 | 10 |

# On the road

A technician who takes a private car gets 38 cents a kilometre. After 21:00 two technicians go together.

# Accidents

Every accident is reported to the shift leader on the same day. The first-aid box hangs beside the test bench and is
checked every 3 months.
"""


Kind = Literal["chapter", "section", "paragraph", "bullet", "step", "table"]
MARKS: dict[str, Kind] = {"# ": "chapter", "## ": "section", "- ": "bullet", r"\d+\. ": "step"}


@dataclass(frozen=True, slots=True)
class Block:
    kind: Kind
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def parse(source: str) -> Iterator[Block]:
    """The blocks of a text in the markup described above."""
    for part in source.strip().split("\n\n"):
        lines = part.split("\n")
        if part.startswith("|"):
            yield Block("table", rows=tuple(tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines))
            continue
        kind = next((kind for mark, kind in MARKS.items() if re.match(mark, part)), None)
        if kind is None:
            yield Block("paragraph", " ".join(lines))
        else:
            yield from (Block(kind, line.split(" ", 1)[1]) for line in lines)


class Manual(FPDF):  # type: ignore[misc, unused-ignore]
    """A4 pages with a footer. Only the 14 fonts that every PDF reader has, so none is embedded."""

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, f"{AUTHOR}, {MANUAL_TITLE}, issue 4, page {self.page_no()}", align="C")


def make_pdf() -> bytes:
    """The manual: a page for each chapter, with bookmarks for title, chapters and sections."""
    pdf = Manual(format="A4")
    pdf.set_compression(False)  # the bytes must not depend on the version of zlib
    pdf.set_creation_date(MANUAL_DATE)
    pdf.set_producer("fpdf2")  # as it stands, this would name the version
    pdf.set_title(MANUAL_TITLE)
    pdf.set_author(AUTHOR)
    pdf.set_lang("en-GB")
    pdf.set_margins(22, 20)
    pdf.set_auto_page_break(True, margin=20)
    pdf.add_page()
    pdf.start_section(MANUAL_TITLE)
    _line(pdf, MANUAL_TITLE, size=22, style="B")
    step = chapters = 0
    for block in parse(MANUAL):
        step = step + 1 if block.kind == "step" else 0
        chapters += block.kind == "chapter"
        if block.kind == "chapter" and chapters > 1:
            pdf.add_page()
        _write(pdf, block, step)
    return bytes(pdf.output())


def _write(pdf: Manual, block: Block, step: int) -> None:
    if block.kind == "chapter":
        pdf.ln(2)
        pdf.start_section(block.text, level=1)
        _line(pdf, block.text, size=16, style="B")
    elif block.kind == "section":
        pdf.ln(1.5)
        pdf.start_section(block.text, level=2)
        _line(pdf, block.text, size=12, style="B")
    elif block.kind == "table":
        pdf.set_font("Helvetica", size=10)
        with pdf.table(block.rows, line_height=5.5, text_align="LEFT", padding=(0.4, 1)):
            pass
        pdf.ln(1.5)
    else:
        mark = {"bullet": "- ", "step": f"{step}. "}.get(block.kind, "")
        _line(pdf, mark + block.text, size=10.5)


def _line(pdf: Manual, text: str, size: float, style: str = "") -> None:
    pdf.set_font("Helvetica", style=style, size=size)  # type: ignore[arg-type, unused-ignore]
    pdf.multi_cell(0, size * 0.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(1)


def make_docx() -> bytes:
    """The handbook, with the styles of Word: Title, Heading 1 and 2, List Bullet, List Number, Table Grid."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = HANDBOOK_TITLE, AUTHOR, AUTHOR
    properties.created = properties.modified = HANDBOOK_DATE.replace(tzinfo=None)
    properties.language, properties.comments, properties.revision = "en-GB", "", 9
    document.add_heading(HANDBOOK_TITLE, level=0)
    styles = {"paragraph": "Normal", "bullet": "List Bullet", "step": "List Number"}
    for block in parse(HANDBOOK):
        if block.kind in ("chapter", "section"):
            document.add_heading(block.text, level=1 if block.kind == "chapter" else 2)
        elif block.kind == "table":
            table = document.add_table(rows=len(block.rows), cols=len(block.rows[0]), style="Table Grid")
            for row, texts in zip(table.rows, block.rows, strict=True):
                for cell, text in zip(row.cells, texts, strict=True):
                    cell.text = text
            document.add_paragraph()
        else:
            document.add_paragraph(block.text, style=styles[block.kind])
    packed = io.BytesIO()
    document.save(packed)
    return _with_fixed_times(packed.getvalue())


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip archive with the time of every member set to 1980-01-01, the earliest that the format knows."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, wherever this runs
            target.writestr(member, source.read(name), compress_type=zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "documents"
    (folder / "dipper-65-manual.pdf").write_bytes(make_pdf())
    (folder / "workshop-handbook.docx").write_bytes(make_docx())


if __name__ == "__main__":
    main()
