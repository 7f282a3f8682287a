"""Makes passages.jsonl and vectors.npy of this folder again; see the README beside it.

    python make_reference.py FOLDER_OF_THE_SENTENCE_TRANSFORMERS_MODEL

Needs `sentence-transformers` and `torch`; the tests need neither.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

PASSAGES = 200
PARAGRAPHS_PER_PASSAGE = (1, 1, 2, 4, 8)  # in turn, so that lengths run from one line to over 256 tokens


def python_reference_passages() -> list[str]:
    """Evenly spaced passages of the Python language reference, as `pydoc` of the running Python has it."""
    paragraphs = [paragraph for topic in sorted(topics) for paragraph in topics[topic].split("\n\n")]
    passages: dict[str, None] = {}
    start = 0
    for count in itertools.cycle(PARAGRAPHS_PER_PASSAGE):
        if start >= len(paragraphs):
            break
        passages.setdefault("\n\n".join(paragraphs[start : start + count]).strip())
        start += count
    unique = [passage for passage in passages if passage]
    return unique[:: len(unique) // PASSAGES][:PASSAGES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_folder", type=Path)
    model_folder = parser.parse_args().model_folder

    from sentence_transformers import SentenceTransformer

    passages = python_reference_passages()
    model = SentenceTransformer(str(model_folder), device="cpu", local_files_only=True)
    vectors = model.encode(passages, normalize_embeddings=True)
    here = Path(__file__).parent
    lines = (json.dumps({"text": passage}, ensure_ascii=False) + "\n" for passage in passages)
    (here / "passages.jsonl").write_text("".join(lines), encoding="utf-8")
    np.save(here / "vectors.npy", np.asarray(vectors, dtype=np.float16))


if __name__ == "__main__":
    main()
