"""What submodules of a torch model put out while it runs."""

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from servers.probe.program.rows import LENGTHS, token_axes

Take = Callable[[str, Tensor], None]


@contextmanager
def watched(model: Any, modules: Mapping[str, str], take: Take) -> Generator[None]:  # noqa: ANN401 - theirs have no types
    """Call `take` with a name and what its module puts out, for name -> module in `modules`.

    Of several outputs of one module it is the first. Nothing is watched afterwards.
    """
    with ExitStack() as stack:
        for name, module in modules.items():
            hook = model.get_submodule(module).register_forward_hook(_taking(name, take))
            stack.callback(hook.remove)
        yield


@torch.no_grad()
def axes_of(model: Any) -> dict[str, int]:  # noqa: ANN401 - theirs have no types
    """Return the axis of the tokens by submodule, of those that put out one vector per token."""
    shorter, longer = (_shapes(model, n_tokens) for n_tokens in LENGTHS)
    return token_axes(shorter, longer)


def _shapes(model: Any, n_tokens: int) -> dict[str, list[tuple[int, ...]]]:  # noqa: ANN401
    names = [name for name, _ in model.named_modules() if name]
    found: dict[str, list[tuple[int, ...]]] = {name: [] for name in names}
    modules = dict(zip(names, names, strict=True))
    with watched(model, modules, lambda name, value: found[name].append(tuple(value.shape))):
        model(torch.zeros((1, n_tokens), dtype=torch.long), use_cache=False)
    return found


def _taking(name: str, take: Take) -> Callable[[object, object, object], None]:
    def hook(_module: object, _arguments: object, output: object) -> None:
        first = _first(output)
        if isinstance(first, Tensor) and first.is_floating_point():
            take(name, first)

    return hook


def _first(output: Any) -> Any:  # noqa: ANN401 - as they come
    whole = output.to_tuple() if isinstance(output, ModelOutput) else output
    return whole[0] if isinstance(whole, tuple) and whole else whole
