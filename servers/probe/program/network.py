"""A transformers model that is looked into: its outputs, attention, gradients and next tokens."""

import math
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from engine.errors import CapabilityError
from engine.introspection.safetensors import Floats
from servers.probe.program.rows import check_rows, without_rows
from servers.probe.program.seen import Seen
from servers.probe.program.watching import Take, axes_of, watched

_INPUT = ""
"""What stands for the input embeddings among layers."""
_BYTES = 4
"""Of one value that is handed over, whatever the type of the weights."""


class Network:
    """One model and its tokenizer."""

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - theirs have no types
        tokenizer: Any,  # noqa: ANN401
        *,
        ends: Container[int],
        n_attending: int,
    ) -> None:
        """Ask `model`, which wants no gradients of its weights.

        A token of `ends` ends a text; `n_attending` decoder layers have attention. The model is
        run here, to see which of its layers put out one vector per token.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._ends = ends
        self._n_attending = n_attending
        self._axes = axes_of(model)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text`."""
        return list(self._tokenizer(text)["input_ids"])

    @torch.no_grad()
    def look(
        self, ids: Sequence[int], layers: Iterable[str], places: Sequence[int], *, max_bytes: int
    ) -> Seen:
        """Run `ids` through the model and keep what `layers` put out and some attention.

        Raises:
            CapabilityError: it is more than `max_bytes`, or the model does not show it.
        """
        modules = self._modules(layers)
        outputs: dict[str, Tensor] = {}
        n_maps = len(places) * self._model.config.num_attention_heads if places else 0
        take = _taker(outputs, max_bytes, taken_bytes=_BYTES * n_maps * len(ids) ** 2)
        with watched(self._model, modules, take):
            ran = self._model(_batch(ids), output_attentions=bool(places), use_cache=False)
        return Seen(
            plain={"ids": list(ids), "texts": [self._text(each) for each in ids]},
            outputs=self._by_token(modules, outputs, len(ids)),
            attention=self._maps(ran, places) if places else {},
        )

    def gradients(
        self, ids: Sequence[int], layers: Iterable[str], *, max_bytes: int
    ) -> tuple[dict[str, object], dict[str, Floats]]:
        """Return gradients of the log-probability of the most probable next token.

        By the input embeddings ("") and by what `layers` put out.

        Raises:
            CapabilityError: it is more than `max_bytes`, or a layer is not shown.
        """
        modules = self._modules(layers)
        wanted: dict[str, Tensor] = {}
        take = _leaf_taker(_taker(wanted, max_bytes))
        with self._embedded(wanted), watched(self._model, modules, take):
            logits = self._model(_batch(ids), use_cache=False).logits[0, -1].float()
        logs = torch.log_softmax(logits, dim=-1)
        target = int(logs.argmax())
        slopes = torch.autograd.grad(
            logs[target], list(wanted.values()), allow_unused=True, materialize_grads=True
        )
        found = dict(zip(wanted, slopes, strict=True))
        plain: dict[str, object] = {
            "tokens": [self._text(each) for each in ids],
            "token": self._text(target),
            "probability": math.exp(float(logs[target].detach())),
        }
        by_layer = self._by_token(modules, found, len(ids))
        return plain, {_INPUT: _floats(found[_INPUT][0]), **by_layer}

    @torch.no_grad()
    def generate(
        self, ids: Sequence[int], layers: Sequence[str], count: int
    ) -> tuple[dict[str, object], dict[str, Floats]]:
        """Go on with `ids` by the most probable token, `count` times or until the text ends.

        The arrays have one row per step: what a layer put out where the token was chosen.

        Raises:
            CapabilityError: a layer is not shown.
        """
        modules = self._modules(layers)
        rows: dict[str, list[Tensor]] = {name: [] for name in modules}
        steps: list[dict[str, Any]] = []
        so_far, batch, cache = list(ids), _batch(ids), None
        while len(steps) < count:
            shown: dict[str, Tensor] = {}
            with watched(self._model, modules, shown.__setitem__):
                ran = self._model(batch, past_key_values=cache, use_cache=True)
            for name, latest in self._latest(modules, shown, (batch.shape[1], len(so_far))):
                rows[name].append(latest)
            step = _step(ran.logits[0, -1].float())
            steps.append({**step, "token": self._text(step["id"])})
            if step["id"] in self._ends:
                break
            so_far.append(step["id"])
            cache = getattr(ran, "past_key_values", None)
            batch = _batch(so_far if cache is None else so_far[-1:])
        text = self._tokenizer.decode([step["id"] for step in steps])
        arrays = {name: _floats(torch.stack(each)) for name, each in rows.items()}
        return {"text": str(text), "steps": steps}, arrays

    def _text(self, token: int) -> str:
        return str(self._tokenizer.decode([token]))

    def _modules(self, layers: Iterable[str]) -> dict[str, str]:
        """Return the module of each layer; a checkpoint may lack the name of the inner model."""
        return {name: self._module(name) for name in layers}

    def _module(self, name: str) -> str:
        for module in (name, f"{self._model.base_model_prefix}.{name}"):
            if module in self._axes:
                return module
        raise without_rows(name)

    def _by_token(
        self, modules: Mapping[str, str], found: Mapping[str, Tensor], n_tokens: int
    ) -> dict[str, Floats]:
        return {
            name: _floats(self._rows(name, module, found, (n_tokens,)))
            for name, module in modules.items()
        }

    def _latest(
        self, modules: Mapping[str, str], found: Mapping[str, Tensor], n_rows: Container[int]
    ) -> Generator[tuple[str, Tensor]]:
        """Yield the last row of each layer, which has rows for the new tokens or for all again."""
        for name, module in modules.items():
            yield name, self._rows(name, module, found, n_rows)[-1]

    def _rows(
        self, name: str, module: str, found: Mapping[str, Tensor], n_rows: Container[int]
    ) -> Tensor:
        """Return what a layer put out as (tokens, size); heads stand one after another."""
        if name not in found:
            raise without_rows(name)
        value, axis = found[name], self._axes[module]
        check_rows(name, value.shape[axis], n_rows)
        return value.movedim(axis, 0).reshape(value.shape[axis], -1)

    def _maps(self, ran: Any, places: Sequence[int]) -> dict[int, Floats]:  # noqa: ANN401
        """Return the attention of the layers that have it, by their place among those."""
        found = ran.attentions or ()
        if len(found) != self._n_attending:
            problem = "the copy that runs does not show which attention is that of which layer"
            raise CapabilityError("ValueError", problem)
        return {place: _floats(found[place][0]) for place in places}

    @contextmanager
    def _embedded(self, wanted: dict[str, Tensor]) -> Generator[None]:
        """Keep the input embeddings as the leaf that gradients are by."""

        def leaf(_module: object, _arguments: object, output: Tensor) -> Tensor:
            wanted[_INPUT] = output.detach().requires_grad_()
            return wanted[_INPUT]

        hook = self._model.get_input_embeddings().register_forward_hook(leaf)
        try:
            yield
        finally:
            hook.remove()


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


def _leaf_taker(take: Take) -> Take:
    """Return what takes values also where they do not depend on the input embeddings."""

    def taking(name: str, value: Tensor) -> None:
        take(name, value if value.requires_grad else value.requires_grad_())

    return taking


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
