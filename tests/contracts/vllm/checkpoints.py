"""The smaller model that ships, with its linear weights quantised by hand: GPTQ and AWQ, 4 bits."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Method = Literal["gptq", "awq"]

GROUP = 32
_NIBBLES = 8
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_QUANTIZATION: dict[Method, dict[str, object]] = {
    "gptq": {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": GROUP,
        "desc_act": False,
        "sym": True,
        "lm_head": False,
    },
    "awq": {
        "quant_method": "awq",
        "bits": 4,
        "group_size": GROUP,
        "zero_point": True,
        "version": "gemm",
    },
}


def write_quantized(folder: Path, source: Path, method: Method) -> Path:
    """Write the checkpoint in `source` into `folder`, quantised; return the folder."""
    folder.mkdir(parents=True)
    for name in _TOKENIZER_FILES:
        shutil.copy(source / name, folder / name)
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = _QUANTIZATION[method]
    (folder / "config.json").write_text(json.dumps(config))
    tensors = dict(_quantized(load_file(source / "model.safetensors"), _PACKED[method]))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _quantized(
    tensors: dict[str, Array], pack: Callable[[Floats], dict[str, Array]]
) -> Iterator[tuple[str, Array]]:
    for name, tensor in tensors.items():
        if name.endswith("_proj.weight"):
            for part, packed in pack(tensor.astype(np.float32)).items():
                # safetensors writes an array as it lies in memory, whatever its order there.
                stored = np.ascontiguousarray(packed)
                yield f"{name.removesuffix('.weight')}.{part}", stored
        else:
            yield name, tensor.astype(np.float16)


def _gptq(weight: Floats) -> dict[str, Array]:
    """Symmetric around 8; the format stores each zero point minus one; rows are packed."""
    groups = _grouped(weight)
    scales = np.abs(groups).max(axis=1) / 7
    levels = np.clip(np.rint(groups / scales[:, None]) + 8, 0, 15).astype(np.int64)
    flat = levels.reshape(weight.shape[1], weight.shape[0])
    zeros = np.full((len(scales), weight.shape[0]), 7, np.int64)
    return {
        "qweight": _pack(flat.T).T.copy(),
        "qzeros": _pack(zeros),
        "scales": scales.astype(np.float16),
        "g_idx": (np.arange(weight.shape[1]) // GROUP).astype(np.int32),
    }


def _awq(weight: Floats) -> dict[str, Array]:
    """With zero points; columns are packed, in AWQ's own order."""
    groups = _grouped(weight)
    low, high = groups.min(axis=1), groups.max(axis=1)
    scales = (high - low) / 15
    zeros = np.clip(np.rint(-low / scales), 0, 15).astype(np.int64)
    levels = np.rint(groups / scales[:, None]).astype(np.int64) + zeros[:, None]
    flat = np.clip(levels, 0, 15).reshape(weight.shape[1], weight.shape[0])
    return {
        "qweight": _pack(flat, _AWQ_ORDER),
        "qzeros": _pack(zeros, _AWQ_ORDER),
        "scales": scales.astype(np.float16),
    }


_PACKED: dict[Method, Callable[[Floats], dict[str, Array]]] = {"gptq": _gptq, "awq": _awq}


def _grouped(weight: Floats) -> Floats:
    """(out, in) -> (groups, inputs of a group, out)."""
    return weight.T.reshape(-1, GROUP, weight.shape[0])


def _pack(levels: Integers, order: tuple[int, ...] = tuple(range(_NIBBLES))) -> Array:
    """Put eight 4-bit levels of a row into one integer, the first of `order` lowest."""
    parts = levels.reshape(levels.shape[0], -1, _NIBBLES)
    packed = np.zeros(parts.shape[:2], np.int64)
    for place, source in enumerate(order):
        packed |= parts[:, :, source] << (4 * place)
    return packed.astype(np.uint32).view(np.int32)
