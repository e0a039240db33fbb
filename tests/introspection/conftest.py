"""Small checkpoints, made on the spot, and a way to run model code against them."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.documents import Documents, open_documents
from engine.introspection.generation import Generated
from engine.introspection.probe import PROBED, Question
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Limits, Workspace
from engine.sandbox.host import open_sandbox
from tests.introspection.drawn import DrawnProbe
from tests.servers.probe.real import probing

Array = npt.NDArray[np.generic]
Stored = Mapping[str, Array | tuple[str, Array]]
"""Name -> values, or (safetensors' name of the type, values) where numpy has no such type."""

N_LAYERS, HIDDEN, INNER, VOCAB = 3, 32, 48, 64
CONFIG: dict[str, object] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "num_hidden_layers": N_LAYERS,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCAB,
    "max_position_embeddings": 4096,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
LAYER_SHAPES: dict[str, tuple[int, ...]] = {
    "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
    "self_attn.q_proj.bias": (HIDDEN,),
    "self_attn.k_proj.weight": (HIDDEN // 2, HIDDEN),
    "self_attn.v_proj.weight": (HIDDEN // 2, HIDDEN),
    "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
    "mlp.gate_proj.weight": (INNER, HIDDEN),
    "mlp.up_proj.weight": (INNER, HIDDEN),
    "mlp.down_proj.weight": (HIDDEN, INNER),
    "input_layernorm.weight": (HIDDEN,),
    "post_attention_layernorm.weight": (HIDDEN,),
}
_TYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int8": "I8", "float64": "F64"}


def _write_safetensors(path: Path, stored: Stored) -> Path:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, value in stored.items():
        kind, array = value if isinstance(value, tuple) else (_TYPES[value.dtype.name], value)
        end = len(data) + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


@pytest.fixture(name="write_safetensors")
def write_safetensors_fixture() -> Callable[[Path, Stored], Path]:
    return _write_safetensors


@pytest.fixture
def config() -> dict[str, object]:
    return dict(CONFIG)


@pytest.fixture
def write_checkpoint(
    tmp_path: Path, config: dict[str, object]
) -> Callable[[Stored, Mapping[str, object]], Path]:
    """Write one safetensors file and a config.json; more fields of it can be given."""

    def write(stored: Stored, more: Mapping[str, object]) -> Path:
        root = tmp_path / "checkpoint"
        root.mkdir()
        _write_safetensors(root / "model.safetensors", stored)
        (root / "config.json").write_text(json.dumps({**config, **more}))
        return root

    return write


@pytest.fixture
def arrays() -> dict[str, Array]:
    """The weights of a tiny Qwen2-shaped model with tied embeddings."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}
    for layer in range(N_LAYERS):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in LAYER_SHAPES.items()}
    shapes["model.norm.weight"] = (HIDDEN,)
    return {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def checkpoint_dir(
    write_checkpoint: Callable[[Stored, Mapping[str, object]], Path], arrays: dict[str, Array]
) -> Path:
    return write_checkpoint(arrays, {})


@pytest.fixture
def subject(checkpoint_dir: Path) -> Subject:
    return Subject(open_checkpoint(checkpoint_dir), probe=DrawnProbe())


@pytest.fixture(scope="session")
def torch_subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A tiny model that ships, and a real probe of it that runs already."""
    with probing("tiny-s", tmp_path_factory.mktemp("probe") / "log") as (checkpoint, probe):
        probe.ask(Question(operation="tokens", text="Hello"))
        yield Subject(checkpoint, probe=probe)


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    """Two short texts."""
    root = tmp_path / "documents"
    root.mkdir()
    first = "# What was measured\n\nThe embeddings were tied.\n\nNothing else was certain.\n"
    (root / "01-measured.md").write_text(first)
    (root / "02-open.md").write_text("Whether that says anything\nis an open question.\n")
    return open_documents(root)


@pytest.fixture
def figures() -> Generated:
    """What an engine may have done."""
    return Generated(
        temperature=0.7,
        top_p=0.9,
        max_reply_tokens=1024,
        context_window_tokens=4096,
        context_used_tokens=900,
        n_replies=3,
        prompt_tokens=2000,
        completion_tokens=300,
        cached_tokens=1500,
        n_compactions=0,
    )


@pytest.fixture
def table(subject: Subject, documents: Documents, figures: Generated) -> CapabilityTable:
    """All that can be granted."""
    return CapabilityTable(
        ("architecture", "weights", *PROBED, "memory", "generation", "heritage"),
        subject=subject,
        generation=lambda: figures,
        documents=documents,
    )


@pytest.fixture
def baseline(subject: Subject) -> CapabilityTable:
    """What the baseline phase grants."""
    return CapabilityTable(("architecture", "weights", "memory"), subject=subject)


@pytest.fixture
async def workspace(table: CapabilityTable) -> AsyncIterator[Workspace]:
    """The real sandbox, with the modules of `table`."""
    async with (
        open_sandbox(Limits()) as sandbox,
        sandbox.open(modules=table.modules, answer=table.answer) as opened,
    ):
        yield opened


@pytest.fixture
async def baseline_workspace(baseline: CapabilityTable) -> AsyncIterator[Workspace]:
    """The real sandbox, with the modules of `baseline`."""
    async with (
        open_sandbox(Limits()) as sandbox,
        sandbox.open(modules=baseline.modules, answer=baseline.answer) as opened,
    ):
        yield opened
