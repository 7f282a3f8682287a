"""How soon a caller who leaves frees the engine, by `batch_tokens`, and what smaller batches cost.

    python benchmarks/leaving.py --model FILE [--batches 64 128 256 512 2048] [--rounds 3] [--json]

In each round one caller sends a prompt of about 1,500 tokens and leaves two seconds later; the next caller, who waits
for the one slot with a short prompt, is timed from then until its first token. Prompt speed is that of a caller alone
with about 500 tokens. Rows are medians over rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from generation.config import LlamaCppSettings
from generation.language_models.llama_cpp import LlamaCpp
from generation.types import Message, Sampling

LEAVES_AFTER_S = 2.0
SAMPLING = Sampling(max_tokens=2, strict=True)


async def first_token_s(model: LlamaCpp, words: int) -> tuple[float, int]:
    """Seconds until the first piece of an answer to a prompt of `words` words, and the prompt's tokens."""
    prompt = await model.prepare([Message("user", "word " * words)])
    began = time.perf_counter()
    pieces = model.stream(prompt, SAMPLING)
    await anext(pieces)
    elapsed = time.perf_counter() - began
    await pieces.aclose()
    return elapsed, prompt.n_tokens


async def measure(model: LlamaCpp, rounds: int) -> dict[str, Any]:
    await model.start()
    speeds, waits = [], []
    for _ in range(rounds):
        alone_s, tokens = await first_token_s(model, 500)
        speeds.append(tokens / alone_s)
        leaving = asyncio.create_task(first_token_s(model, 1500))
        await asyncio.sleep(LEAVES_AFTER_S)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        waits.append((await first_token_s(model, 5))[0])
    await model.aclose()
    return {
        "prompt_tokens_per_s": round(statistics.median(speeds), 1),
        "next_caller_first_token_s": round(statistics.median(waits), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 256, 512, 2048])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for batch in arguments.batches:
        settings = LlamaCppSettings(batch_tokens=batch, linger_s=0)
        with tempfile.TemporaryDirectory() as folder:
            model = LlamaCpp(settings, arguments.model, Path(folder) / "runtime")
            rows.append({"batch_tokens": batch, **asyncio.run(measure(model, arguments.rounds))})
        if not arguments.json:
            print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
