"""Runs one measurement in a process of its own and reads its stages, each within a limit of time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

BENCHMARKS = Path(__file__).parent
Stages = dict[str, dict[str, Any]]


def run_module(
    python: Path, module: str, arguments: Sequence[str], limits_s: Mapping[str, float], work: Path
) -> Stages:
    """Stages by name, as the module reports them, in order.

    `limits_s` gives the seconds that each stage may take at most. A module that fails or takes longer leaves the stages
    that it finished and one named `problem` with `stage` and `why`. It gets an empty folder under `work`, which is gone
    afterwards.
    """
    stages: Stages = {}
    with tempfile.TemporaryDirectory(dir=work) as folder, tempfile.TemporaryFile("w+") as errors:
        # -P: the adapters are named like what they import.
        command = [str(python), "-P", "-W", "ignore", "-m", module, *arguments, "--folder", folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment())
        assert process.stdout is not None
        lines = _lines(process.stdout)
        try:
            for name, limit in limits_s.items():
                began = time.perf_counter()
                line = lines.get(timeout=limit)
                if line is None:
                    errors.seek(0)
                    stages["problem"] = {"stage": name, "why": _last_line(errors.read())}
                    break
                values = json.loads(line)
                stages[values.pop("stage")] = {**values, "took_s": time.perf_counter() - began}
        except queue.Empty:
            stages["problem"] = {"stage": name, "why": f"more than {limit:g} s"}
        finally:
            process.kill()
            process.wait()
    return stages


def _environment() -> dict[str, str]:
    """Nothing is fetched while it runs; threads are left as each library has them."""
    path = os.pathsep.join(part for part in (str(BENCHMARKS), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def _lines(stream: IO[str]) -> queue.Queue[str | None]:
    """Lines as they come, and None at the end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1]
