"""The graph of the embedded embedder is the one that its program writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.bert_graph import WEIGHTS, Bert, bert_graph

MINILM = Bert(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, layer_norm_eps=1e-12)
GRAPH = Path(__file__).parents[2] / "retrieval" / "graphs" / "all-MiniLM-L6-v2.onnx"


@pytest.mark.models
def test_the_graph_in_the_package_is_what_the_program_writes(embedder_folder: Path) -> None:
    made = bert_graph(embedder_folder / WEIGHTS, MINILM)
    assert made.SerializeToString(deterministic=True) == GRAPH.read_bytes()


@pytest.mark.models
def test_padding_changes_nothing(embedder_folder: Path) -> None:
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(embedder_folder / "model.onnx"), providers=["CPUExecutionProvider"])
    ids = np.array([[101, 2129, 2146, 102], [101, 7592, 102, 0]], dtype=np.int64)
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=np.int64)
    (both,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    (alone,) = session.run(None, {"input_ids": ids[1:, :3], "attention_mask": mask[1:, :3]})
    assert np.abs(both[1, :3] - alone[0]).max() < 1e-5
    (unmasked,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(mask)})
    assert np.abs(unmasked[1, :3] - alone[0]).max() > 1e-2


def test_a_weight_in_half_precision_is_refused(tmp_path: Path) -> None:
    head = b'{"embeddings.position_embeddings.weight": {"dtype": "F16", "shape": [4, 2], "data_offsets": [0, 16]}}'
    (tmp_path / WEIGHTS).write_bytes(len(head).to_bytes(8, "little") + head + bytes(16))
    with pytest.raises(ValueError, match=r"^embeddings\.position_embeddings\.weight is F16, not F32$"):
        bert_graph(tmp_path / WEIGHTS, Bert(2, 1, 1, 1e-12))
