"""A checkpoint with the shape of Qwen2.5-3B: cost and memory do not grow with it.

6.2 GB in shards, made in a temporary directory and removed at the end. The embedding and three
layers are random; the others are holes in the files, read as zeros, which spares the disk.

Source of the shape: config.json of Qwen/Qwen2.5-3B-Instruct (36 layers, hidden size 2048,
intermediate size 11008, 16 query and 2 key/value heads of size 128, 151936 tokens, tied).
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from engine.introspection.weights import Weights

Codes = npt.NDArray[np.uint16]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HIDDEN, INNER, KEYS, VOCAB = 2048, 11008, 256, 151936
EMBEDDING = "model.embed_tokens.weight"
N_SHARDS = 3
POOL = 1 << 24
CHUNK = 1 << 18
FILLED = ("model.embed", "model.layers.0.", "model.layers.17.", "model.layers.35.", "model.norm")
N_BYTES = 1_100_000_000
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
weights.get_weight_statistics(sys.argv[2])
print(json.dumps(peak() - before))
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


def random_codes() -> Codes:
    """Return bfloat16 codes of normal values with some zeros among them."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(POOL, np.float32) * np.float32(0.02)
    values[rng.integers(0, POOL, POOL // 1000)] = 0
    return (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def parts(pool: Codes, place: int, count: int) -> Iterator[Codes]:
    """Yield the codes of parameter number `place`: the pool, begun elsewhere for each of them."""
    start = place * 999_983 % POOL
    while count:
        part = pool[start : start + count]
        yield part
        start, count = 0, count - part.size


def write_shard(path: Path, pool: Codes, named: dict[str, int]) -> None:
    """Write the parameters `named`: name -> number."""
    header: dict[str, object] = {}
    end = 0
    for name in named:
        shape = shapes()[name]
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, place in named.items():
            count = math.prod(shapes()[name])
            if not name.startswith(FILLED):
                file.seek(2 * count, os.SEEK_CUR)
                continue
            for part in parts(pool, place, count):
                file.write(part.data)
        file.truncate(8 + len(encoded) + end)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("shape-3b")
    if shutil.disk_usage(root).free < 2 * N_BYTES:
        pytest.skip(f"{N_BYTES / 1e9:.1f} GB are written, which is more than half of what is free")
    pool, index = random_codes(), {name: place for place, name in enumerate(shapes())}
    shard_of = {name: f"part-{place * N_SHARDS // len(index)}" for name, place in index.items()}
    for shard in set(shard_of.values()):
        named = {name: place for name, place in index.items() if shard_of[name] == shard}
        write_shard(root / f"{shard}.safetensors", pool, named)
    weight_map = {name: f"{shard}.safetensors" for name, shard in shard_of.items()}
    (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (root / "config.json").write_text(json.dumps(CONFIG))
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def checkpoint(root: Path) -> Checkpoint:
    return open_checkpoint(root)


def directly(pool: Codes, place: int, count: int) -> dict[str, Any]:
    """Return the statistics by their definitions, in float64, from the values that were written."""
    total = squares = absolute = 0.0
    zeros, smallest, largest = 0, math.inf, -math.inf
    for part in parts(pool, place, count):
        for first in range(0, part.size, CHUNK):
            codes = part[first : first + CHUNK].astype(np.uint32)
            exact = (codes << np.uint32(16)).view(np.float32).astype(np.float64)
            total += float(exact.sum())
            squares += float(exact @ exact)
            absolute += float(np.abs(exact).sum())
            zeros += int((exact == 0).sum())
            smallest, largest = min(smallest, exact.min()), max(largest, exact.max())
    return {
        "n_values": count,
        "mean": total / count,
        "std": math.sqrt(squares / count - (total / count) ** 2),
        "min": float(smallest),
        "max": float(largest),
        "abs_mean": absolute / count,
        "l2_norm": math.sqrt(squares),
        "zero_fraction": zeros / count,
    }


def test_every_statistic_of_a_parameter_is_that_of_its_values(checkpoint: Checkpoint) -> None:
    weights, pool = Weights(checkpoint), random_codes()
    hole = weights.get_weight_statistics("model.layers.9.mlp.up_proj.weight")
    assert isinstance(hole, dict)
    assert hole["zero_fraction"] == 1
    for place, (name, shape) in enumerate(shapes().items()):
        if not name.startswith(FILLED):
            continue
        found = weights.get_weight_statistics(name)
        assert isinstance(found, dict)
        assert (found.pop("name"), found.pop("shape")) == (name, list(shape))
        assert found.pop("dtype") == "bfloat16"
        assert found == pytest.approx(directly(pool, place, math.prod(shape)), rel=1e-5), name


def test_statistics_of_the_largest_parameter_take_bounded_memory(root: Path) -> None:
    command = [sys.executable, "-c", MEASURED, str(root), EMBEDDING]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    grown = json.loads(done.stdout)
    assert grown <= 300e6


def test_structure_is_answered_at_once(checkpoint: Checkpoint) -> None:
    weights, architecture = Weights(checkpoint), Architecture(checkpoint)
    started = time.process_time()
    listed = weights.list_parameters()
    between = time.process_time()
    summary = architecture.get_architecture_summary()
    ended = time.process_time()
    assert summary["n_parameters"] == listed["n_parameters"] == 3_085_938_688
    assert between - started <= 0.02
    assert ended - between <= 0.05


def test_comparisons_are_those_of_the_values(checkpoint: Checkpoint) -> None:
    names = [f"model.layers.{n}.self_attn.k_proj.weight" for n in (0, 35)]
    first, second = (np.concatenate(list(checkpoint.blocks(n))).astype(np.float64) for n in names)
    found = Weights(checkpoint).compare_parameters(*names)
    cosine = float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))
    assert found["cosine_similarity"] == pytest.approx(cosine, rel=1e-4)
    assert found["l2_distance"] == pytest.approx(float(np.linalg.norm(first - second)), rel=1e-5)
