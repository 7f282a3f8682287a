"""Makes the corpus of the benchmark of the index: real texts and questions with vectors, and variations of them.

    python benchmarks/index_corpus.py --data DIR --embedder DIR [--sizes 50k 1M] [--cache DIR]

`--data` holds the sets (see `index_texts.py`), `--embedder` the embedder's `model.onnx` and `tokenizer.json`. Files are
described in `index_peers/corpus.py` and stand in the cache's folder `corpus`. Vectors of the 50k real texts take about
half an hour of one core; a run that was stopped goes on where it stood. Of the 1M texts, the first 50k are real and the
others vary them (see `index_variation.py`), which takes minutes and 2.2 GB. Needs about 3 GB of memory for 1M.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from index_peers.corpus import REAL, SIZES, Vectors, rows_made
from index_texts import TooLittleText, real_questions, real_texts
from index_variation import vary_texts, vary_vectors

from ingest.types import Embedder
from retrieval.embedder import OnnxEmbedder

QUERIES = 500
UPDATES = 200
CHECKPOINT = 500  # texts between two notes of how far embedding came
MAX_TOKENS = 256

DEFAULT_CACHE = Path("~/.cache/ragstone-benchmarks").expanduser()


class NoCorpus(Exception):
    """There is no corpus yet, and what it is made from was not given."""


def make_real(data: Path, embedder: Embedder, folder: Path) -> None:
    """Texts, questions and new contents for updates, with vectors. Does only what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "texts-queries.txt").is_file():
        texts = real_texts(data, REAL + UPDATES)
        write_lines(folder / "texts-50k.txt", texts[:REAL])
        # A word that stands nowhere else, so that a search by words can tell an update's text from all others.
        marked = [f"{text} zq{number:04d}mark" for number, text in enumerate(texts[REAL:])]
        write_lines(folder / "texts-updates.txt", marked)
        write_lines(folder / "texts-queries.txt", real_questions(data, QUERIES))
    about = {
        "embedder": embedder.space.model,
        "fingerprint": embedder.space.fingerprint,
        "max_tokens": MAX_TOKENS,
        "sha256_of_texts_50k": hashlib.sha256((folder / "texts-50k.txt").read_bytes()).hexdigest(),
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")
    embed_lines(folder, "queries", embedder, as_query=True)
    embed_lines(folder, "updates", embedder)
    embed_lines(folder, "50k", embedder)


def make_varied(folder: Path, size: int) -> None:
    """`texts-1M.txt` and `vectors-1M.npy` from the real ones."""
    if not (folder / "texts-1M.txt").is_file():
        real = (folder / "texts-50k.txt").read_text("utf-8").splitlines()
        write_lines(folder / "texts-1M.txt", chain(real, vary_texts(real, size - len(real))))
    target = folder / "vectors-1M.npy"
    if rows_made(target) < size:
        real_vectors = np.load(folder / "vectors-50k.npy")
        target.with_suffix(".rows").write_text("0")
        vectors = np.lib.format.open_memmap(target, "w+", np.float32, (size, real_vectors.shape[1]))
        vectors[: len(real_vectors)] = real_vectors
        for start in range(len(real_vectors), size, len(real_vectors)):
            count = min(len(real_vectors), size - start)
            vectors[start : start + count] = vary_vectors(real_vectors[:count], real_vectors, seed=start)
        vectors.flush()
        target.with_suffix(".rows").unlink()


def embed_lines(folder: Path, name: str, embedder: Embedder, *, as_query: bool = False) -> None:
    """Fills `vectors-NAME.npy` for `texts-NAME.txt`, from where an earlier run stopped."""
    texts = (folder / f"texts-{name}.txt").read_text("utf-8").splitlines()
    target = folder / f"vectors-{name}.npy"
    progress = target.with_suffix(".rows")
    done = rows_made(target)
    if done == len(texts):
        progress.unlink(missing_ok=True)
        return
    if not done:
        progress.write_text("0")
        np.lib.format.open_memmap(target, "w+", np.float32, (len(texts), embedder.space.dimension)).flush()
    vectors = np.lib.format.open_memmap(target, "r+")
    began = time.perf_counter()
    for start in range(done, len(texts), CHECKPOINT):
        part = texts[start : start + CHECKPOINT]
        vectors[start : start + len(part)] = _embedded(embedder, part, as_query)
        vectors.flush()
        progress.write_text(str(start + len(part)))
        rate = (start + len(part) - done) / (time.perf_counter() - began)
        print(f"{name}: {start + len(part):,} of {len(texts):,} texts, {rate:.0f} a second", flush=True)
    progress.unlink()


def _embedded(embedder: Embedder, texts: Sequence[str], as_query: bool) -> Vectors:
    return np.stack([embedder.embed_query(text) for text in texts]) if as_query else embedder.embed_documents(texts)


def write_lines(file: Path, lines: Iterable[str]) -> None:
    temporary = file.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    temporary.replace(file)


def make_corpus(data: Path | None, embedder_folder: Path | None, cache: Path, largest: int, threads: int = 1) -> Path:
    """The folder of a corpus of at least `largest` texts; `data` and `embedder_folder` are needed only to make it.

    Raises NoCorpus when they are needed and missing.
    """
    folder = cache / "corpus"
    if rows_made(folder / "vectors-50k.npy") < min(largest, REAL):
        if data is None or embedder_folder is None:
            raise NoCorpus(f"{folder} has no corpus yet: give --data and --embedder, to make it")
        model = embedder_folder.name
        make_real(data, OnnxEmbedder(embedder_folder, model=model, max_tokens=MAX_TOKENS, threads=threads), folder)
    if largest > REAL:
        make_varied(folder, SIZES["1M"])
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--embedder", type=Path)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--sizes", choices=SIZES, nargs="+", default=["50k"])
    parser.add_argument("--threads", type=int, default=1, help="texts embedded at a time")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    largest = max(SIZES[size] for size in arguments.sizes)
    try:
        print(make_corpus(arguments.data, arguments.embedder, arguments.cache, largest, arguments.threads))
    except (NoCorpus, TooLittleText) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
