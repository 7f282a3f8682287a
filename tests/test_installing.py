"""Both ways of installing, each in an environment of its own. Needs a package index: `make test-install` runs these."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Run with the installed packages only: the console's page, and searches by our own index and by the FAISS installed.
PROGRAM = """
import importlib.metadata, importlib.resources, sys
import numpy as np
import ragstone.api.app
from retrieval.dense_index import DenseIndex
from retrieval.faiss_index import FaissIndex
from retrieval.visibility import Visible
assert "site-packages" in ragstone.__file__, ragstone.__file__
assert "Ragstone" in importlib.resources.files("ragstone.console").joinpath("index.html").read_text()
numbers, vectors = np.arange(1, 5), np.eye(4, dtype=np.float32)
for index in (FaissIndex(4, threads=1), DenseIndex(None, 4)):
    index.add(numbers, numbers, vectors, 1, 4)
    chunks, scores = index.search(vectors[2], 1, Visible.of(numbers, 5))
    assert chunks.tolist() == [3] and abs(scores[0] - 1) < 0.001, (index, chunks, scores)
print(sorted(d.name for d in importlib.metadata.distributions() if d.name.startswith("faiss")))
"""


@pytest.mark.network
@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_an_installed_ragstone_has_one_faiss_and_all_its_files(tmp_path: Path, extra: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    # From a copy: setuptools builds inside the folder, and an old build there would be packed again.
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info"))
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        source / "constraints.txt",
        f"{source}[{extra}]",
    ]
    subprocess.run(install, check=True, env=environment)
    done = subprocess.run([python, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"['faiss-{extra}']"
