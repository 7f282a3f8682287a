"""The index against its peers: updates, hybrid queries, and BM25 alone, with the same texts and vectors for all.

    python benchmarks/index.py --data DIR --embedder DIR [--sizes 5k 50k] [--peers ragstone chroma]
        [--only update query bm25 serving] [--cache DIR] [--json FILE]

`--data` and `--embedder` are those of `index_corpus.py` and needed once, to make the corpus. Each peer runs in a
process and an environment of its own (`index_peers/`), built in the cache with pinned versions; vectors are given, so
no embedder is measured. Peers run one after the other in one session, each with its library's own number of threads.
A peer that can't load a size within `--load-s`, or update within `--update-s`, is reported as such.

`--only serving` measures ours alone: queries while documents are embedded and committed, a cold open, bytes.

An update is measured from the call until a dense and a lexical search both return the new text. `--json` is written
after each run, and a run that was stopped goes on from it with `--resume`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from index_corpus import DEFAULT_CACHE, NoCorpus, make_corpus, write_lines
from index_peers.corpus import REAL, SIZES
from index_peers.environments import CannotInstall, python_of
from index_runs import Stages, run_module
from index_tables import bm25_table, peer_tables, serving_table
from index_texts import TooLittleText

from retrieval.tokens import Tokenizer

PEERS = ("ragstone", "ragstone_uploads", "llama_index", "langchain", "txtai", "haystack", "chroma", "lancedb")
ENGINES = {
    "ragstone": "ragstone_bm25",
    "bm25s-numpy": "bm25",
    "bm25s-numba": "bm25",
    "rank-bm25": "bm25",
    "tantivy": "bm25",
}
PARTS = ("update", "query", "bm25", "serving")
START_S = 120.0
SLACK_S = 120.0  # for what a stage does beside taking samples: a last sample, warming up


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.resume and arguments.json is None:
        parser.error("--resume needs --json, the file to go on from")
    if "serving" in arguments.only and arguments.embedder is None:
        parser.error("--only serving needs --embedder, as it embeds what it ingests")
    cache: Path = arguments.cache
    largest = max(SIZES[size] for size in arguments.sizes)
    try:
        corpus = make_corpus(arguments.data, arguments.embedder, cache, largest)
    except (NoCorpus, TooLittleText) as error:
        parser.error(str(error))
    results: dict[str, Any] = {"machine": machine(corpus), "peers": {}, "bm25": {}, "serving": {}}
    if arguments.resume and arguments.json.is_file():
        results |= {**json.loads(arguments.json.read_text()), "machine": results["machine"]}
    (cache / "work").mkdir(parents=True, exist_ok=True)
    for size in arguments.sizes:
        if {"update", "query"} & set(arguments.only):
            measured = results["peers"].setdefault(size, {})
            for peer in arguments.peers:
                if peer not in measured:
                    measured[peer] = run_peer(peer, size, corpus, arguments)
                    _keep(results, arguments.json)
            print(peer_tables(size, SIZES[size], measured, arguments.only), end="\n\n", flush=True)
        if "bm25" in arguments.only:
            make_terms(corpus, size)
            measured = results["bm25"].setdefault(size, {})
            for engine in arguments.engines:
                if engine not in measured:
                    measured[engine] = run_engine(engine, size, corpus, arguments)
                    _keep(results, arguments.json)
            print(bm25_table(size, measured), end="\n\n", flush=True)
        if "serving" in arguments.only:
            if size not in results["serving"]:
                results["serving"][size] = run_serving(size, corpus, arguments)
                _keep(results, arguments.json)
            print(serving_table(size, SIZES[size], results["serving"][size]), end="\n\n", flush=True)
    print(json.dumps(results["machine"], indent=2))


def run_peer(peer: str, size: str, corpus: Path, arguments: argparse.Namespace) -> Stages:
    """Loads, asks and updates one peer; see `index_peers/measure.py`."""
    only = [part for part in ("query", "update") if part in arguments.only]
    limits = {"query_s": arguments.query_s, "update_s": arguments.update_s, "only": only}
    stages_s = {"start": START_S, "load": arguments.load_s}
    if "query" in only:
        stages_s |= dict.fromkeys(("recall", "query_1", "query_4"), arguments.query_s + SLACK_S)
    if "update" in only:
        stages_s["update"] = arguments.update_s + SLACK_S
    stages_s["end"] = SLACK_S
    given = ["--limits", json.dumps(limits)]
    return _run(peer, f"index_peers.{peer}", given, stages_s, size, corpus, arguments.cache)


def run_engine(engine: str, size: str, corpus: Path, arguments: argparse.Namespace) -> Stages:
    """Builds, asks and updates one BM25 engine; see `index_peers/measure_bm25.py`."""
    samples_s = arguments.query_s + SLACK_S
    stages_s = {"start": START_S, "load": arguments.load_s, "query": samples_s, "batch": samples_s}
    stages_s["update"] = arguments.update_s + SLACK_S
    given = ["--engine", engine, "--query-s", str(arguments.query_s), "--update-s", str(arguments.update_s)]
    module = ENGINES[engine]
    return _run(module, f"index_peers.{module}", given, stages_s, size, corpus, arguments.cache)


def run_serving(size: str, corpus: Path, arguments: argparse.Namespace) -> Stages:
    """Our own product in service; see `index_peers/ragstone_serving.py`. Needs --embedder."""
    window_s = 2 * SLACK_S
    stages_s = {"start": START_S, "load": arguments.load_s}
    stages_s |= dict.fromkeys(("bytes", "idle", "ingesting", "ingesting_singly", "cold_open", "limited"), window_s)
    given = ["--embedder", str(arguments.embedder.resolve())]
    return _run("ragstone", "index_peers.ragstone_serving", given, stages_s, size, corpus, arguments.cache)


def make_terms(corpus: Path, size: str) -> None:
    """`terms-NAME.txt`: the terms of texts, queries and updates by the product's tokenizer, one text a line.

    All are made anew when those of the queries differ from what the tokenizer gives now.
    """
    tokenizer = Tokenizer("english")
    queries = (corpus / "texts-queries.txt").read_text("utf-8").splitlines()
    terms = [" ".join(tokenizer.tokenize(query)) for query in queries]
    known = corpus / "terms-queries.txt"
    if not known.is_file() or known.read_text("utf-8").splitlines() != terms:
        for file in corpus.glob("terms-*.txt"):
            file.unlink()
        write_lines(known, terms)
    for name in ("updates", "50k" if SIZES[size] <= REAL else "1M"):
        target = corpus / f"terms-{name}.txt"
        if not target.is_file():
            with (corpus / f"texts-{name}.txt").open(encoding="utf-8") as texts:
                write_lines(target, (" ".join(tokenizer.tokenize(text)) for text in texts))


def machine(corpus: Path) -> dict[str, Any]:
    """What the numbers depend on."""
    model = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    packages = ("ragstone", "numpy", "faiss-cpu", "sqlalchemy")
    return {
        "cpu": model[0] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": "each library's own number",
        "corpus": json.loads((corpus / "about.json").read_text()),
        **{package: metadata.version(package) for package in packages},
    }


def _run(
    environment: str,
    module: str,
    given: Sequence[str],
    stages_s: dict[str, float],
    size: str,
    corpus: Path,
    cache: Path,
) -> Stages:
    print(f"{size}: {module} {' '.join(given[:2]) if '--engine' in given else ''}", file=sys.stderr, flush=True)
    try:
        python = python_of(environment, cache)
    except CannotInstall as error:
        return {"problem": {"stage": "start", "why": str(error)}}
    common = ["--corpus", str(corpus), "--size", str(SIZES[size])]
    return run_module(python, module, [*common, *given], stages_s, cache / "work")


def _keep(results: dict[str, Any], file: Path | None) -> None:
    if file is not None:
        write_lines(file, [json.dumps(results, indent=2)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--embedder", type=Path)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--sizes", choices=SIZES, nargs="+", default=["5k", "50k"])
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=PEERS)
    parser.add_argument("--engines", choices=ENGINES, nargs="+", default=list(ENGINES))
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS[:3])
    parser.add_argument("--load-s", type=float, default=600, help="limit of loading a size")
    parser.add_argument("--query-s", type=float, default=30, help="seconds of queries at most, for 1 and for 4 callers")
    parser.add_argument("--update-s", type=float, default=60, help="seconds of updates at most, and limit of one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help="keep what the file of --json has")
    return parser


if __name__ == "__main__":
    main()
