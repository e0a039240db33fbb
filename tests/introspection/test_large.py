"""A checkpoint with the shape of Qwen2.5-3B: cost and memory do not grow with it.

Source of the shape: config.json of Qwen/Qwen2.5-3B-Instruct (36 layers, hidden size 2048,
intermediate size 11008, 16 query and 2 key/value heads of size 128, 151936 tokens, tied).
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.weights import Weights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HIDDEN, INNER, KEYS, VOCAB = 2048, 11008, 256, 151936
EMBEDDING = "model.embed_tokens.weight"
BLOCK = 1 << 20
CONFIG = {
    "model_type": "qwen2",
    "num_hidden_layers": 36,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": VOCAB,
    "tie_word_embeddings": True,
}
MEASURED = """
import json, resource, sys
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.weights import Weights

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

weights = Weights(open_checkpoint(sys.argv[1]))
before = peak()
found = weights.get_weight_statistics(sys.argv[2])
print(json.dumps([found, peak() - before]))
"""


def shapes() -> dict[str, tuple[int, ...]]:
    layer = {
        "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "self_attn.q_proj.bias": (HIDDEN,),
        "self_attn.k_proj.weight": (KEYS, HIDDEN),
        "self_attn.k_proj.bias": (KEYS,),
        "self_attn.v_proj.weight": (KEYS, HIDDEN),
        "self_attn.v_proj.bias": (KEYS,),
        "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "mlp.gate_proj.weight": (INNER, HIDDEN),
        "mlp.up_proj.weight": (INNER, HIDDEN),
        "mlp.down_proj.weight": (HIDDEN, INNER),
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
    }
    layers = {f"model.layers.{n}.{name}": shape for n in range(36) for name, shape in layer.items()}
    return {EMBEDDING: (VOCAB, HIDDEN), **layers, "model.norm.weight": (HIDDEN,)}


def embedding() -> Iterator[np.ndarray[tuple[int], np.dtype[np.uint16]]]:
    """Yield the bfloat16 codes of the embedding, block by block; four blocks take turns."""
    values = np.random.default_rng(0).normal(0, 0.02, (4, BLOCK)).astype(np.float32)
    codes = (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    total = VOCAB * HIDDEN
    for place, first in enumerate(range(0, total, BLOCK)):
        yield codes[place % 4, : total - first]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint whose embedding is random; the rest is a hole in the file, read as zeros."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes().items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    root = tmp_path_factory.mktemp("shape-3b")
    (root / "config.json").write_text(json.dumps(CONFIG))
    with (root / "model.safetensors").open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for codes in embedding():
            file.write(codes.tobytes())
        file.truncate(8 + len(encoded) + end)
    yield root
    (root / "model.safetensors").unlink()


def test_statistics_of_the_largest_tensor_are_right_in_bounded_memory(root: Path) -> None:
    command = [sys.executable, "-c", MEASURED, str(root), EMBEDDING]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    found, grown_bytes = json.loads(done.stdout)
    total = squares = 0.0
    for codes in embedding():
        exact = (codes.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
        total += float(exact.sum())
        squares += float(exact @ exact)
    n_values = VOCAB * HIDDEN
    assert grown_bytes <= 300e6
    assert found["n_values"] == n_values
    assert found["mean"] == pytest.approx(total / n_values, rel=1e-5)
    assert found["l2_norm"] == pytest.approx(math.sqrt(squares), rel=1e-5)
    assert found["std"] == pytest.approx(
        math.sqrt(squares / n_values - (total / n_values) ** 2), rel=1e-5
    )


def test_structure_is_answered_at_once(root: Path) -> None:
    checkpoint = open_checkpoint(root)
    weights, architecture = Weights(checkpoint), Architecture(checkpoint)
    started = time.process_time()
    listed = weights.list_parameters()
    between = time.process_time()
    summary = architecture.get_architecture_summary()
    ended = time.process_time()
    assert summary["n_parameters"] == listed["n_parameters"] == 3_085_938_688
    assert between - started <= 0.02
    assert ended - between <= 0.05
