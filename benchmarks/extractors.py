"""Compares what extractors make of a folder of documents: outcome, seconds, and how near to an expected text.

    python benchmarks/extractors.py --documents DIR [--peer NAME=PYTHON]... [--only EXT]... [--json FILE]

DIR holds `manifest.jsonl` (one file a line: `file`, `ext`, `expect`, and where known `password` and `expected_text`) or
just files. Every extractor reads every file in a process of its own, so that a crash or a hang is counted and ends
nothing; a peer runs under the Python that `--peer` names for it (in an environment that has it installed), Ragstone
under this one. Peers that take only one format are asked only for that. Seconds are those of reading, imports left out.

Against an expected text, all from 0 to 1: `words` is the F1 of words as a bag, `order` the share of words that stand in
the same order (normalised indel similarity over words), `heads` the F1 of heading titles, `cells` that of the cells of
Markdown tables. A file without text has none of these: read them beside `as told`, which counts the files that gave
text, or none, as the manifest expects. Expected texts are mostly other tools' output: a guide, no truth.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

Result = dict[str, Any]  # of one reading: outcome, why, text, headings, seconds
Read = Callable[[Path, str | None], tuple[str, list[str] | None]]  # the text, and headings where they are not in it
ROOT = Path(__file__).resolve().parents[1]
MARK = "\x1eextracted\x1e"  # what follows it on standard output is the result: libraries print too
_NO_TEXT = ("no text", "clean rejection", "clean error", "no body")
_OPEN = (" or ", "almost", "needs password")
_HEADING = re.compile(r"^#{1,6} +(\S.*?)[ #]*$", re.M)
_RULE = re.compile(r"\|?[\s:|-]+\|?")


# ------------------------------------------------------------------------------------------- the extractors, one each


def ragstone() -> Read:
    sys.path.insert(0, str(ROOT))
    from ingest.errors import RefusedDocument
    from ingest.loaders.reading import Reading
    from ingest.loaders.registry import extract

    def read(path: Path, password: str | None) -> tuple[str, list[str] | None]:
        try:
            extracted = extract(path.read_bytes(), path.name, Reading(password=password))
        except RefusedDocument as refusal:
            raise Refusal(f"{refusal.code}: {refusal}") from refusal
        return extracted.text, [heading.title for heading in extracted.headings]

    return read


def kreuzberg() -> Read:
    import kreuzberg as package

    def read(path: Path, password: str | None) -> tuple[str, list[str] | None]:
        pdf = package.PdfConfig(passwords=[password] if password else None)
        config = package.ExtractionConfig(use_cache=False, output_format="markdown", pdf_options=pdf, disable_ocr=True)
        try:
            return package.extract_file_sync(path, config=config).content, None
        except package.KreuzbergError as error:
            raise Refusal(f"{type(error).__name__}: {error}") from error

    return read


def markitdown() -> Read:
    from markitdown import MarkItDown, MarkItDownException

    converter = MarkItDown()

    def read(path: Path, password: str | None) -> tuple[str, list[str] | None]:
        try:
            return converter.convert(path).text_content, None
        except MarkItDownException as error:
            raise Refusal(f"{type(error).__name__}: {error}") from error

    return read


def pypdfium2() -> Read:
    import pypdfium2 as package

    def read(path: Path, password: str | None) -> tuple[str, list[str] | None]:
        document = package.PdfDocument(path, password=password)
        return "\n\n".join(page.get_textpage().get_text_bounded() for page in document), None

    return read


def pypdf() -> Read:
    from pypdf import PdfReader

    return lambda path, password: (
        "\n\n".join(page.extract_text() for page in PdfReader(path, password=password).pages),
        None,
    )


def pdfminer() -> Read:
    from pdfminer.high_level import extract_text

    return lambda path, password: (extract_text(path, password=password or ""), None)


def python_docx() -> Read:
    import docx

    return lambda path, password: ("\n\n".join(paragraph.text for paragraph in docx.Document(path).paragraphs), None)


PEERS: dict[str, tuple[Callable[[], Read], str | None]] = {  # by name: how to read, and the only format that it takes
    "ragstone": (ragstone, None),
    "kreuzberg": (kreuzberg, None),
    "markitdown": (markitdown, None),
    "pypdfium2": (pypdfium2, "pdf"),
    "pypdf": (pypdf, "pdf"),
    "pdfminer": (pdfminer, "pdf"),
    "python-docx": (python_docx, "docx"),
}


class Refusal(Exception):
    """The extractor says itself that it does not take the file."""


def child(name: str, path: Path, password: str | None) -> Result:
    """One reading, in the process that is there for it."""
    try:
        read = PEERS[name][0]()
        started = time.perf_counter()
        text, headings = read(path, password)
    except Refusal as refusal:
        return {"outcome": "refused", "why": str(refusal)}
    except Exception as error:
        return {"outcome": "error", "why": f"{type(error).__name__}: {error}"}
    seconds = time.perf_counter() - started
    outcome = "text" if re.search(r"[^\W_]", text) else "empty"
    return {"outcome": outcome, "text": text, "headings": headings, "seconds": seconds}


def reading(name: str, python: str, path: Path, password: str | None, timeout_s: float) -> Result:
    """One file by one extractor, in a process of its own."""
    command = [python, str(Path(__file__).resolve()), "--child", name, str(path), *([password] if password else [])]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
    try:
        run = subprocess.run(command, capture_output=True, timeout=timeout_s, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return {"outcome": "time-out", "why": f"no result within {timeout_s:g} s"}
    _, mark, result = run.stdout.decode("utf-8", "replace").partition(MARK)
    if not mark:
        said = run.stderr.decode("utf-8", "replace").strip().splitlines()
        return {"outcome": "crash", "why": f"exit code {run.returncode}: {said[-1] if said else 'no word'}"}
    parsed: Result = json.loads(result)
    return parsed


# ------------------------------------------------------------------------------------------------------- the measures


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def f1(found: Iterable[Hashable], wanted: Iterable[Hashable]) -> float | None:
    """F1 of two bags; None where nothing is wanted."""
    have, want = Counter(found), Counter(wanted)
    if not want:
        return None
    return 2 * (have & want).total() / (have.total() + want.total())


def in_order(found: Sequence[str], wanted: Sequence[str]) -> float | None:
    """1 - (words to insert or delete) / (words of both)."""
    if not wanted:
        return None
    try:
        from rapidfuzz.distance import Indel
    except ImportError:  # slower, and not always the longest common subsequence
        return difflib.SequenceMatcher(None, found, wanted, autojunk=False).ratio()
    return float(Indel.normalized_similarity(found, wanted))


def titles(text: str) -> list[str]:
    return [" ".join(words(title)) for title in _HEADING.findall(text)]


def cells(text: str) -> list[str]:
    """Filled cells of Markdown tables: lines between bars, without the rules below their headers."""
    rows = [line.strip() for line in text.splitlines() if line.strip().startswith("|") and line.count("|") > 1]
    found = [" ".join(words(cell)) for row in rows if not _RULE.fullmatch(row) for cell in row.split("|")]
    return [cell for cell in found if cell]


def measures(result: Result, expected: str | None) -> dict[str, float | None]:
    if expected is None or result["outcome"] not in ("text", "empty"):
        return {}
    text = result["text"]
    headings = result.get("headings")
    found = titles(text) if headings is None else [" ".join(words(title)) for title in headings]
    return {
        "words": f1(words(text), words(expected)),
        "order": in_order(words(text), words(expected)),
        "heads": f1(found, titles(expected)),
        "cells": f1(cells(text), cells(expected)),
    }


def as_told(result: Result, expect: str | None) -> bool | None:
    """Whether there is text, or none, as expected; None where the manifest leaves it open."""
    if not expect or any(word in expect for word in _OPEN):
        return None
    wanted = not expect.startswith(_NO_TEXT)
    return bool(result["outcome"] in (("text",) if wanted else ("empty", "refused")))


# --------------------------------------------------------------------------------------------------------- the report


def documents(folder: Path) -> list[dict[str, Any]]:
    manifest = folder / "manifest.jsonl"
    if manifest.exists():
        return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [{"file": str(path.relative_to(folder)), "ext": path.suffix[1:].lower()} for path in files]


def line(label: str, rows: Sequence[dict[str, Any]]) -> str:
    outcomes = Counter(row["outcome"] for row in rows)
    failed = sum(outcomes[kind] for kind in ("error", "crash", "time-out"))
    told = [row["as_told"] for row in rows if row["as_told"] is not None]
    seconds = [row["seconds"] for row in rows if row.get("seconds") is not None]
    shown = [f"{label:<12}", f"{len(rows):>5}", f"{outcomes['text']:>5}", f"{outcomes['empty']:>6}"]
    shown += [f"{outcomes['refused']:>8}", f"{failed:>7}", f"{sum(told):>4}/{len(told):<4}"]
    shown += [f"{sum(row['characters'] for row in rows):>8}"]
    shown += [f"{statistics.median(seconds):>7.3f}" if seconds else f"{'':>7}"]
    for measure in ("words", "order", "heads", "cells"):
        scored = [row[measure] for row in rows if row.get(measure) is not None]
        shown.append(f"{statistics.mean(scored):>6.3f}" if scored else f"{'-':>6}")
    return " ".join(shown)


HEADER = f"{'':<12} files  text  empty  refused  failed  as told     chars  p50 s  words  order  heads  cells"


def tables(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> str:
    """One table a format, and one over all. A file that a peer gave no text for has no score, here no zero either."""
    by_format = defaultdict(list)
    for row in rows:
        by_format[row["ext"]].append(row)
    shown = []
    for title, group in (*sorted(by_format.items()), ("all formats", list(rows))):
        shown += [title, HEADER]
        for peer in peers:
            own = [row for row in group if row["peer"] == peer]
            shown += [line(peer, own)] if own else []
        shown.append("")
    return "\n".join(shown)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, path, *password = sys.argv[2:]
        print(MARK + json.dumps(child(name, Path(path), password[0] if password else None)))
        return
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    arguments.add_argument("--documents", type=Path, required=True)
    arguments.add_argument("--peer", action="append", default=[], help="NAME=PYTHON, NAME one of " + ", ".join(PEERS))
    arguments.add_argument("--only", action="append", default=[], help="an extension: other files are left out")
    arguments.add_argument("--timeout", type=float, default=120, help="seconds for one file")
    arguments.add_argument("--no-ragstone", action="store_true")
    arguments.add_argument("--files", action="store_true", help="also one line for every reading")
    arguments.add_argument("--json", type=Path)
    told = arguments.parse_args()
    peers = {} if told.no_ragstone else {"ragstone": sys.executable}
    for peer in told.peer:
        name, _, python = peer.partition("=")
        if name not in PEERS or not python:
            arguments.error(f"--peer {peer}: write NAME=PYTHON with a NAME of {', '.join(PEERS)}")
        peers[name] = python
    rows = []
    for document in documents(told.documents):
        if told.only and document["ext"] not in told.only:
            continue
        expected = document.get("expected_text")
        wanted = (told.documents / expected).read_text(encoding="utf-8") if expected else None
        for name, python in peers.items():
            if PEERS[name][1] not in (None, document["ext"]):
                continue
            path = told.documents / document["file"]
            result = reading(name, python, path, document.get("password"), told.timeout)
            row = {"file": document["file"], "ext": document["ext"], "peer": name, "outcome": result["outcome"]}
            row |= {
                "why": result.get("why"),
                "characters": len(result.get("text", "")),
                "seconds": result.get("seconds"),
            }
            row |= {"as_told": as_told(result, document.get("expect")), **measures(result, wanted)}
            rows.append(row)
            if told.files:
                scores = {
                    key: round(row[key], 3) for key in ("words", "order", "heads", "cells") if row.get(key) is not None
                }
                print(
                    f"{name:<12} {row['outcome']:<9} {Path(row['file']).name:<50} {row['why'] or scores or ''}",
                    flush=True,
                )
    print(tables(rows, list(peers)))
    if told.json:
        told.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
