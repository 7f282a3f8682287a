"""The results as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

OURS = "ragstone"

Row = Mapping[str, Any]  # one peer or engine at one size: its stages by name
Column = tuple[str, Callable[[Row], str]]


def peer_tables(size: str, n_chunks: int, rows: Mapping[str, Row], parts: Collection[str]) -> str:
    """Update and query, where they are among `parts`, and memory and disk, for all peers at one size."""
    update: list[Column] = [
        ("p50 ms", _value("update", "p50_ms")),
        ("p99 ms", _value("update", "p99_ms")),
        ("the call alone, ms", _value("update", "call_ms")),
        ("the two searches once more, ms", _value("update", "searches_ms")),
        ("updates", _value("update", "updates", 0)),
        ("new text not found", _value("update", "never_shown", 0)),
        ("old text still found", _value("update", "old_text_still_found", 0)),
        ("p50 of the peer / ours", _ratio(rows, "update", "p50_ms")),
        ("how", lambda row: str(row.get("start", {}).get("update", ""))),
        ("what an update is kept by", lambda row: str(row.get("start", {}).get("durable", ""))),
    ]
    query: list[Column] = [
        ("1 caller p50 ms", _value("query_1", "p50_ms")),
        ("p99 ms", _value("query_1", "p99_ms")),
        ("4 callers p50 ms", _value("query_4", "p50_ms")),
        ("p99 ms", _value("query_4", "p99_ms")),
        ("4 callers, queries/s", _value("query_4", "queries_per_s", 1)),
        ("dense recall@10", _value("recall", "dense_recall", 3)),
        ("p50 of the peer / ours", _ratio(rows, "query_1", "p50_ms")),
        ("note", lambda row: str(row.get("start", {}).get("note", ""))),
    ]
    memory: list[Column] = [
        ("load s", _value("load", "load_s", 1)),
        ("memory a chunk, bytes", _value("load", "rss_anon_grown", 0, 1 / n_chunks)),
        ("mapped files a chunk, bytes", _value("load", "rss_file_grown", 0, 1 / n_chunks)),
        ("disk a chunk, bytes", _value("load", "bytes_on_disk", 0, 1 / n_chunks)),
    ]
    tables = []
    if "update" in parts:
        tables.append(_table(f"Update one document until both halves show it, {size} chunks", update, rows))
    if "query" in parts:
        tables.append(_table(f"Hybrid query, top 10, {size} chunks", query, rows))
    tables.append(_table(f"Loading {size} chunks", memory, rows))
    return "\n\n".join(tables)


def bm25_table(size: str, rows: Mapping[str, Row]) -> str:
    """BM25 alone at one size; the agreement is with bm25s, the method `lucene`."""
    references = (rows.get(name, {}).get("query", {}).get("rows") for name in ("bm25s-numpy", "bm25s-numba"))
    reference = next((found for found in references if found), None)
    columns: list[Column] = [
        ("queries/s", _value("query", "queries_per_s", 0)),
        ("p50 ms", _value("query", "p50_ms", 3)),
        ("p99 ms", _value("query", "p99_ms", 3)),
        ("all in one call, queries/s", _value("batch", "queries_per_s", 0)),
        ("update p50 ms", _value("update", "p50_ms")),
        ("build s", _value("load", "load_s", 1)),
        ("same top 10 as bm25s", lambda row: _agreement(reference, row.get("query", {}).get("rows"))),
        ("note", lambda row: str(row.get("start", {}).get("note", ""))),
    ]
    return _table(f"BM25 alone, top 10, one thread, {size} rows", columns, rows)


def serving_table(size: str, n_chunks: int, row: Row) -> str:
    """Ours in service at one size."""
    columns: list[Column] = [
        ("idle p50 ms", _value("idle", "p50_ms")),
        ("idle p99 ms", _value("idle", "p99_ms")),
        ("while ingesting p50 ms", _value("ingesting", "p50_ms")),
        ("while ingesting p99 ms", _value("ingesting", "p99_ms")),
        ("ingested a second", _value("ingesting", "ingested_per_s", 1)),
        ("one by one p50 ms", _value("ingesting_singly", "p50_ms")),
        ("one by one p99 ms", _value("ingesting_singly", "p99_ms")),
        ("ingested a second", _value("ingesting_singly", "ingested_per_s", 1)),
        ("cold open until the first answer, s", _value("cold_open", "cold_open_s")),
        *(
            (f"{part} on disk a chunk, bytes", _value("bytes", f"{part}_on_disk", 0, 1 / n_chunks))
            for part in ("text", "vectors", "postings", "history")
        ),
        ("disk a chunk in all, bytes", _value("bytes", "bytes_on_disk", 0, 1 / n_chunks)),
        ("memory that opening takes a chunk, bytes", _value("cold_open", "rss_anon_grown", 0, 1 / n_chunks)),
        ("mapped files after 10 s of queries a chunk, bytes", _value("cold_open", "rss_file_grown", 0, 1 / n_chunks)),
        ("p50 ms in a process of its own", _value("cold_open", "p50_ms")),
        ("p99 ms", _value("cold_open", "p99_ms")),
        (
            "the same with 600 bytes of memory a chunk, page cache included: cold open s",
            _value("limited", "cold_open_s"),
        ),
        ("p50 ms", _value("limited", "p50_ms")),
        ("p99 ms", _value("limited", "p99_ms")),
    ]
    return _table(f"In service, {size} chunks", columns, {OURS: row})


def _table(title: str, columns: Sequence[Column], rows: Mapping[str, Row]) -> str:
    lines = [
        f"### {title}",
        "",
        "| | " + " | ".join(name for name, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(cell(row) for _, cell in columns) + " |")
    problems = [
        f"{name} stopped at {row['problem']['stage']}: {row['problem']['why']}"
        for name, row in rows.items()
        if "problem" in row
    ]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


def _value(stage: str, name: str, digits: int | None = None, factor: float = 1) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value = row.get(stage, {}).get(name)
        if value is None:
            return "no" if "problem" in row else ""
        value *= factor
        places = digits if digits is not None else 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:,.{places}f}"

    return cell


def _ratio(rows: Mapping[str, Row], stage: str, name: str) -> Callable[[Row], str]:
    ours = rows.get(OURS, {}).get(stage, {}).get(name)

    def cell(row: Row) -> str:
        value = row.get(stage, {}).get(name)
        return "" if ours is None or value is None else f"{value / ours:,.1f}"

    return cell


def _agreement(reference: list[list[int]] | None, rows: list[list[int]] | None) -> str:
    """Share of the rows of the reference that are found. Rows of equal score may be ranked otherwise by each."""
    if reference is None or rows is None:
        return ""
    pairs = list(zip(reference, rows, strict=False))
    wanted = sum(len(expected) for expected, _ in pairs)
    return f"{sum(len(set(expected) & set(found)) for expected, found in pairs) / wanted:.3f}"
