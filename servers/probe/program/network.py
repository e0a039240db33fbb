"""A checkpoint as a transformers model: its outputs, attention, gradients and next tokens."""

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoTokenizer

from engine.errors import CapabilityError
from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from engine.introspection.safetensors import Floats
from servers.probe.program.seen import Seen

Take = Callable[[str, Tensor], None]

_BYTES = 4
"""Of one value that is handed over, whatever the type of the weights."""


def load(directory: Path, *, dtype: str, n_threads: int) -> "Network":
    """Return the network of the checkpoint in `directory`, its weights as torch's `dtype`.

    The values are those that introspection of the weights shows, dequantised ones included.

    Raises:
        RuntimeError: the weights are not those of the architecture that the configuration names.
    """
    torch.set_num_threads(n_threads)
    config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    kind = getattr(torch, dtype)
    model, found = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=_state(open_checkpoint(directory), kind),
        dtype=kind,
        attn_implementation="eager",
        output_loading_info=True,
    )
    if found["missing_keys"] or found["mismatched_keys"]:
        wrong = sorted(map(str, (*found["missing_keys"], *found["mismatched_keys"])))[:5]
        raise RuntimeError(f"{directory}: these weights are missing or misshapen: {wrong}")
    return Network(
        model.eval().requires_grad_(requires_grad=False), AutoTokenizer.from_pretrained(directory)
    )


def _state(checkpoint: Checkpoint, kind: torch.dtype) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, parameter in checkpoint.parameters.items():
        if parameter.shared_with:
            continue
        values = torch.empty(parameter.n_values, dtype=kind)
        place = 0
        for block in checkpoint.blocks(name):
            values[place : place + block.size] = torch.from_numpy(np.ascontiguousarray(block))
            place += block.size
        state[name] = values.reshape(parameter.shape)
    return state


class Network:
    """One model and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - theirs have no types
        """Ask `model`, which wants no gradients of its weights."""
        self._model = model
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text`."""
        return list(self._tokenizer(text)["input_ids"])

    @torch.no_grad()
    def look(
        self, ids: Sequence[int], layers: Iterable[str], places: Sequence[int], *, max_bytes: int
    ) -> Seen:
        """Run `ids` through the model and keep what `layers` put out and some attention.

        Raises:
            CapabilityError: it is more than `max_bytes`.
        """
        outputs: dict[str, Tensor] = {}
        n_maps = len(places) * self._model.config.num_attention_heads
        take = _taker(outputs, max_bytes, taken_bytes=_BYTES * n_maps * len(ids) ** 2)
        with self._watched(layers, take):
            ran = self._model(_batch(ids), output_attentions=bool(places), use_cache=False)
        return Seen(
            plain={"ids": list(ids), "texts": [self._text(each) for each in ids]},
            outputs={name: _floats(value[0]) for name, value in outputs.items()},
            attention={place: _floats(ran.attentions[place][0]) for place in places},
        )

    def gradients(
        self, ids: Sequence[int], layers: Iterable[str], *, max_bytes: int
    ) -> tuple[dict[str, object], dict[str, Floats]]:
        """Return gradients of the log-probability of the most probable next token.

        By the input embeddings ("") and by what `layers` put out.

        Raises:
            CapabilityError: it is more than `max_bytes`.
        """
        wanted: dict[str, Tensor] = {}
        with self._embedded(wanted), self._watched(layers, _taker(wanted, max_bytes)):
            logits = self._model(_batch(ids), use_cache=False).logits[0, -1].float()
        logs = torch.log_softmax(logits, dim=-1)
        target = int(logs.argmax())
        found = torch.autograd.grad(
            logs[target], list(wanted.values()), allow_unused=True, materialize_grads=True
        )
        plain: dict[str, object] = {
            "tokens": [self._text(each) for each in ids],
            "token": self._text(target),
            "probability": math.exp(float(logs[target].detach())),
        }
        return plain, {name: _floats(each[0]) for name, each in zip(wanted, found, strict=True)}

    @torch.no_grad()
    def generate(
        self, ids: Sequence[int], layers: Sequence[str], count: int
    ) -> tuple[dict[str, object], dict[str, Floats]]:
        """Go on with `ids` by the most probable token, `count` times or until the text ends.

        The arrays have one row per step: what a layer put out where the token was chosen.
        """
        rows: dict[str, list[Tensor]] = {name: [] for name in layers}
        steps: list[dict[str, Any]] = []
        batch, cache = _batch(ids), None
        with self._watched(layers, lambda name, value: rows[name].append(value[0, -1])):
            while len(steps) < count:
                ran = self._model(batch, past_key_values=cache, use_cache=True)
                cache, step = ran.past_key_values, _step(ran.logits[0, -1].float())
                steps.append({**step, "token": self._text(step["id"])})
                if step["id"] == self._tokenizer.eos_token_id:
                    break
                batch = _batch([step["id"]])
        text = self._tokenizer.decode([step["id"] for step in steps])
        arrays = {name: _floats(torch.stack(each)) for name, each in rows.items()}
        return {"text": str(text), "steps": steps}, arrays

    def _text(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    @contextmanager
    def _watched(self, layers: Iterable[str], take: Take) -> Generator[None]:
        hooks = [
            self._model.get_submodule(name).register_forward_hook(_taking(name, take))
            for name in layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def _embedded(self, wanted: dict[str, Tensor]) -> Generator[None]:
        """Keep the input embeddings as the leaf that gradients are by."""

        def leaf(_module: object, _arguments: object, output: Tensor) -> Tensor:
            wanted[""] = output.detach().requires_grad_()
            return wanted[""]

        hook = self._model.get_input_embeddings().register_forward_hook(leaf)
        try:
            yield
        finally:
            hook.remove()


def _taking(name: str, take: Take) -> Callable[[object, object, Any], None]:
    def hook(_module: object, _arguments: object, output: Any) -> None:  # noqa: ANN401 - as they come
        take(name, output if isinstance(output, Tensor) else output[0])

    return hook


def _taker(kept: dict[str, Tensor], max_bytes: int, *, taken_bytes: int = 0) -> Take:
    """Return what keeps outputs, as long as they and what is `taken_bytes` are not too much."""
    n_bytes = taken_bytes

    def take(name: str, value: Tensor) -> None:
        nonlocal n_bytes
        n_bytes += _BYTES * value.numel()
        if n_bytes > max_bytes:
            problem = f"the values have more than {max_bytes >> 20} MiB"
            raise CapabilityError("ValueError", f"{problem}: name fewer layers, or a shorter text")
        kept[name] = value

    return take


def _batch(ids: Sequence[int]) -> Tensor:
    return torch.tensor([list(ids)])


def _floats(value: Tensor) -> Floats:
    return value.detach().float().numpy()


def _step(logits: Tensor) -> dict[str, Any]:
    logs = torch.log_softmax(logits.double(), dim=-1)
    shares = logs.exp()
    token = int(logs.argmax())
    return {
        "id": token,
        "probability": float(shares[token]),
        "entropy_bits": float(-(shares * logs).sum()) / math.log(2),
    }
