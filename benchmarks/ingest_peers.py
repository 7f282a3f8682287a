"""Ingestion against LlamaIndex's IngestionPipeline and txtai: full ingest, one changed file, sweeps without a change.

    python benchmarks/ingest_peers.py --documents DIR [--files N] [--small-files 10000] [--rounds 3]
        [--systems ragstone txtai_hashes] [--only documents small] [--embedder DIR] [--cache DIR] [--json FILE]

`--documents` is a folder of Markdown files, such as one release of a manual; each process copies it. All systems call
our embedder, `--embedder` (by default the embedded model of the settings), and the time within it is counted apart, as
they cut different numbers of chunks. With `--small-files` so many files made at random are swept too; their vectors are
hashed of their texts, so that only what surrounds the embedder is measured.

A system is given the folder and nothing else: what changed in it, it finds out by the means that it has. An update
is measured from writing the file until a search finds its new words. After each step a search checks that the work was
done. Each system runs in a process and an environment of its own (`index_peers/environments.py`), one after the other,
in each round anew; `--json` is written after each run. Once the environments are installed nothing is fetched.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from index_corpus import DEFAULT_CACHE, write_lines
from index_peers.environments import CannotInstall, python_of
from index_runs import Stages, run_module
from ingest_tables import about_table, tables

from ragstone.models import EMBEDDED_MODELS, ModelStore, default_models_folder
from retrieval.config import OnnxEmbedderSettings

# By system: its module in `ingest_peers`, and its environment.
SYSTEMS = {
    "ragstone": ("ragstone", "ragstone"),
    "llama_index": ("llama_index", "llama_index_files"),
    "llama_index_chroma": ("llama_index", "llama_index_files"),
    "txtai": ("txtai", "txtai_files"),
    "txtai_hashes": ("txtai", "txtai_files"),
}
PARTS = ("documents", "small")
PROJECT = Path(__file__).resolve().parent.parent
START_S = 300.0  # modules are imported, files are copied or made


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    embedder = OnnxEmbedderSettings()
    model: Path = arguments.embedder or ModelStore(default_models_folder()).require(EMBEDDED_MODELS[embedder.model])
    if "documents" in arguments.only and not any(arguments.documents.rglob("*.md")):
        parser.error(f"{arguments.documents} has no Markdown files: name a folder that has by --documents")
    # The adapters import the project's embedder, in environments where the project is not installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH", ""))))
    work: Path = arguments.cache / "work"
    work.mkdir(parents=True, exist_ok=True)
    common = ["--embedder", str(model.resolve()), "--max-tokens", str(embedder.max_tokens)]
    common += ["--updates", str(arguments.updates), "--sweeps", str(arguments.sweeps)]
    common += ["--limit-s", str(arguments.limit_s)]
    given = {
        "documents": ["--documents", str(arguments.documents.resolve())],
        "small": ["--small-files", str(arguments.small_files)],
    }
    if arguments.files is not None:
        given["documents"] += ["--files", str(arguments.files)]
    results: dict[str, Any] = {"machine": machine(model)}
    for part in arguments.only:
        results[part] = {system: [] for system in arguments.systems}
        for number in range(1, arguments.rounds + 1):
            for system in arguments.systems:
                print(f"{part}: round {number}, {system}", file=sys.stderr, flush=True)
                results[part][system].append(run_system(system, [*common, *given[part]], arguments, work))
                if arguments.json is not None:
                    write_lines(arguments.json, [json.dumps(results, indent=2)])
        print(
            tables(_title(part, results[part]), results[part], with_model=part == "documents"), end="\n\n", flush=True
        )
    print(about_table(results[arguments.only[0]]), end="\n\n")
    print(json.dumps(results["machine"], indent=2))


def run_system(system: str, given: list[str], arguments: argparse.Namespace, work: Path) -> Stages:
    """One round of one system; see `ingest_peers/measure.py`."""
    module, environment = SYSTEMS[system]
    try:
        python = python_of(environment, arguments.cache)
    except CannotInstall as error:
        return {"problem": {"stage": "start", "why": str(error)}}
    # A stage takes samples until its own limit, and the last one may take as long as a full ingest.
    slack_s = arguments.limit_s + 3 * arguments.full_s
    stages_s = {"start": START_S, "full": 2 * arguments.full_s, "unchanged": slack_s, "update": slack_s}
    stages_s["reopen"] = arguments.full_s
    return run_module(python, f"ingest_peers.{module}", ["--system", system, *given], stages_s, work)


def machine(model: Path) -> dict[str, Any]:
    """What the numbers depend on."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "embedder": model.name,
        **{package: metadata.version(package) for package in ("ragstone", "onnxruntime", "numpy", "sqlalchemy")},
    }


def _title(part: str, systems: dict[str, list[Stages]]) -> str:
    listed = {run["full"]["listed"] for rounds in systems.values() for run in rounds if "full" in run}
    count = ", ".join(f"{its:,}" for its in listed) or "no"
    return f"{count} Markdown files" if part == "documents" else f"{count} small files, hashed vectors"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--files", type=int, help="so many of the documents, evenly spread; by default all")
    parser.add_argument("--small-files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", choices=SYSTEMS, nargs="+", default=list(SYSTEMS))
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--embedder", type=Path, help="a folder with model.onnx and tokenizer.json")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--updates", type=int, default=6, help="of one round; each file is changed twice in a row")
    parser.add_argument("--sweeps", type=int, default=5, help="of one round")
    parser.add_argument("--limit-s", type=float, default=60, help="after so long a stage takes no further samples")
    parser.add_argument("--full-s", type=float, default=900, help="limit of a full ingest")
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    main()
