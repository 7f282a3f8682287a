"""A BERT encoder as an ONNX graph over the weights that stand in a safetensors file, which it does not copy.

    python -m retrieval.bert_graph FOLDER > retrieval/graphs/all-MiniLM-L6-v2.onnx

FOLDER holds config.json and model.safetensors, as on the hub. The graph is some 25 KB, as its weights are external data
(ONNX, "External Data"): offsets into model.safetensors, which must stand beside it under that name.

The encoder is that of Devlin et al., "BERT" (2019), which BertModel of `transformers` computes too, without the pooler
and with all tokens of the first type. Queries, keys and values are one matrix product, and no matrix is transposed at
run time: on two cores of a Xeon .70 of the processor's peak against .54 of an exported graph with int8 weights
(`benchmarks/embedder_engines.py`). Needs the package `onnx`.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

WEIGHTS = "model.safetensors"
_OPSET, _IR_VERSION = 20, 9
_MASKED = 1e9  # taken from the score of a token that is padding


@dataclass(frozen=True, slots=True)
class Bert:
    """The numbers of config.json that decide the graph."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float


def bert_graph(weights: Path, bert: Bert) -> ModelProto:
    """int64 `input_ids` and `attention_mask` of shape (batch, tokens) to float32 (batch, tokens, hidden_size).

    Reads only the head of `weights`. Raises KeyError where a weight is missing, ValueError where it is not float32.
    """
    graph = _Graph(weights)
    shape = graph.add("Shape", "input_ids")
    tokens = _embedded(graph, bert, shape)
    bias = _padding_bias(graph)
    for number in range(bert.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        attended = _attention(graph, bert, tokens, shape, bias, layer)
        tokens = _normalised(graph, bert, graph.add("Add", attended, tokens), f"{layer}.attention.output.LayerNorm")
        wide = graph.add("Gelu", _linear(graph, tokens, f"{layer}.intermediate.dense"))
        narrow = _linear(graph, wide, f"{layer}.output.dense")
        tokens = _normalised(graph, bert, graph.add("Add", narrow, tokens), f"{layer}.output.LayerNorm")
    whole = graph.add("Concat", shape, graph.integers(bert.hidden_size), axis=0)
    return graph.model(graph.add("Reshape", tokens, whole), bert.hidden_size)


def _embedded(graph: _Graph, bert: Bert, shape: str) -> str:
    """Words, positions and the first token type, as (batch * tokens, hidden)."""
    zero, one = graph.integers(0), graph.integers(1)
    length = graph.add("Slice", shape, one, graph.integers(2))
    positions = graph.add("Slice", graph.weight("embeddings.position_embeddings.weight"), zero, length, zero)
    of_type = graph.add("Slice", graph.weight("embeddings.token_type_embeddings.weight"), zero, one, zero)
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    summed = graph.add("Add", graph.add("Add", words, of_type), positions)
    rows = graph.add("Reshape", summed, graph.integers(-1, bert.hidden_size))
    return _normalised(graph, bert, rows, "embeddings.LayerNorm")


def _padding_bias(graph: _Graph) -> str:
    """0 for tokens and `-_MASKED` for padding, of shape (batch, 1, 1, tokens)."""
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    negative = graph.add("Mul", graph.add("Sub", mask, graph.number(1)), graph.number(_MASKED))
    return graph.add("Unsqueeze", negative, graph.integers(1, 2))


def _attention(graph: _Graph, bert: Bert, tokens: str, shape: str, bias: str, layer: str) -> str:
    """Multi-head attention, after its output projection, as (batch * tokens, hidden)."""
    heads, width = bert.num_attention_heads, bert.hidden_size // bert.num_attention_heads
    parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = graph.add("Concat", *[graph.weight(f"{part}.weight") for part in parts], axis=0)
    offset = graph.add("Concat", *[graph.weight(f"{part}.bias") for part in parts], axis=0)
    split = graph.add("Concat", shape, graph.integers(3, heads, width), axis=0)
    # (batch, tokens, 3, heads, width)
    together = graph.add("Reshape", graph.add("Gemm", tokens, weight, offset, transB=1), split)
    two = graph.integers(2)

    def part(number: int, order: list[int]) -> str:
        chosen = graph.add("Slice", together, graph.integers(number), graph.integers(number + 1), two)
        return graph.add("Transpose", graph.add("Squeeze", chosen, two), perm=order)

    scores = graph.add("MatMul", part(0, [0, 2, 1, 3]), part(1, [0, 2, 3, 1]))
    scaled = graph.add("Add", graph.add("Mul", scores, graph.number(width**-0.5)), bias)
    mixed = graph.add("MatMul", graph.add("Softmax", scaled, axis=-1), part(2, [0, 2, 1, 3]))
    rows = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), graph.integers(-1, bert.hidden_size))
    return _linear(graph, rows, f"{layer}.attention.output.dense")


def _linear(graph: _Graph, rows: str, name: str) -> str:
    return graph.add("Gemm", rows, graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias"), transB=1)


def _normalised(graph: _Graph, bert: Bert, rows: str, name: str) -> str:
    weights = graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")
    return graph.add("LayerNormalization", rows, *weights, epsilon=bert.layer_norm_eps)


class _Graph:
    """Nodes and constants, each named by its number."""

    def __init__(self, weights: Path) -> None:
        with open(weights, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            self._head: dict[str, Any] = json.loads(file.read(size))
        self._data_start = 8 + size
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        output = f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str) -> str:
        """A tensor of the safetensors file, by its place there."""
        there = self._head[name]
        if there["dtype"] != "F32":
            raise ValueError(f"{name} is {there['dtype']}, not F32")
        start, end = there["data_offsets"]
        place = {"location": WEIGHTS, "offset": self._data_start + start, "length": end - start}
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=there["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._constants[name] = tensor
        return name

    def integers(self, *values: int) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self._constant(np.array(value, dtype=np.float32))

    def model(self, output: str, hidden_size: int) -> ModelProto:
        self._nodes.append(helper.make_node("Identity", [output], ["token_embeddings"]))
        sizes = ["batch", "tokens"]
        given = [
            helper.make_tensor_value_info(name, TensorProto.INT64, sizes) for name in ("input_ids", "attention_mask")
        ]
        returned = helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, [*sizes, hidden_size])
        graph = helper.make_graph(self._nodes, "bert", given, [returned], list(self._constants.values()))
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="ragstone")

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{values.dtype}_{'_'.join(map(str, values.ravel().tolist()))}_{values.ndim}"
        self._constants[name] = numpy_helper.from_array(values, name)
        return name


def main() -> None:
    """Writes the graph of the model in the folder that is named to standard output."""
    folder = Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text("utf-8"))
    bert = Bert(**{name: config[name] for name in Bert.__slots__})
    sys.stdout.buffer.write(bert_graph(folder / WEIGHTS, bert).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
