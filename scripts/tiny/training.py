"""Training of one shape on encoded transcripts: seeded, one CPU thread."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from scripts.tiny.encoding import Example
from scripts.tiny.network import Network
from scripts.tiny.shape import Shape

_MATRIX_RATE = 0.02
_OTHER_RATE = 0.004
_WARMUP_STEPS = 40
_DECAY_SHARE = 0.5
"""Share of the steps, at the end, over which the rates fall to zero."""
_LOG_STEPS = 25


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of the curriculum."""

    examples: Sequence[Example]
    steps: int
    batch_tokens: int


@dataclass(frozen=True, kw_only=True)
class Round:
    """Stages in order, over which the rates rise, stay, and fall to zero."""

    stages: Sequence[Stage]
    rate: float = 1.0
    """Share of the full rates that is reached."""


def network_of(shape: Shape, *, seed: int, start: Path | None) -> Network:
    """Return a new network, or the trained one of the folder `start`."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = Network(shape)
    if start:
        stored = load_file(start / "model.safetensors")
        network.load_state_dict({name: each.float() for name, each in stored.items()})
    return network


def train_round(
    network: Network, course: Round, *, rng: random.Random, log: Callable[[str], None]
) -> None:
    """Train `network` through the stages of one round."""
    optimizers = _optimizers(network)
    n_steps = sum(stage.steps for stage in course.stages)
    step, losses = 0, list[float]()
    for stage in course.stages:
        batches = _batches(stage, rng)
        for _ in range(stage.steps):
            _set_rates(optimizers, course.rate * _rate_share(step, n_steps))
            losses.append(_step(network, optimizers, *next(batches)))
            step += 1
            if step % _LOG_STEPS == 0:
                mean = sum(losses[-_LOG_STEPS:]) / _LOG_STEPS
                log(f"step {step}/{n_steps}  loss {mean:.4f}  cpu {time.process_time():.0f} s")


def _optimizers(network: Network) -> list[torch.optim.Optimizer]:
    named = list(network.named_parameters())
    is_matrix = {name: p.dim() > 1 and "embed" not in name for name, p in named}
    matrices = [p for name, p in named if is_matrix[name]]
    others = [p for name, p in named if not is_matrix[name]]
    return [
        torch.optim.Muon(matrices, lr=_MATRIX_RATE, weight_decay=0.01),
        torch.optim.AdamW(others, lr=_OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _rate_share(step: int, n_steps: int) -> float:
    rise = (step + 1) / _WARMUP_STEPS
    fall = (n_steps - step) / (n_steps * _DECAY_SHARE)
    return min(1.0, rise, fall)


def _set_rates(optimizers: Sequence[torch.optim.Optimizer], share: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full_lr", group["lr"]) * share


def _step(
    network: Network, optimizers: Sequence[torch.optim.Optimizer], ids: Tensor, weights: Tensor
) -> float:
    wanted = weights[:, 1:] > 0
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(ids[:, :-1], wanted)
    each = functional.cross_entropy(logits.float(), ids[:, 1:][wanted], reduction="none")
    share = weights[:, 1:][wanted]
    loss = (each * share).sum() / share.sum()
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return float(each.detach().mean())


def _batches(stage: Stage, rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield padded ids and weights without end: passes over all, like lengths together."""
    while True:
        order = sorted(stage.examples, key=lambda e: len(e.ids) * rng.uniform(0.9, 1.1))
        groups = list(_grouped(order, stage.batch_tokens))
        rng.shuffle(groups)
        yield from map(_padded, groups)


def _grouped(order: Sequence[Example], batch_tokens: int) -> Iterator[list[Example]]:
    group: list[Example] = []
    longest = 0
    for example in order:
        longest = max(longest, len(example.ids))
        if group and longest * (len(group) + 1) > batch_tokens:
            yield group
            group, longest = [], len(example.ids)
        group.append(example)
    yield group


def _padded(group: Sequence[Example]) -> tuple[Tensor, Tensor]:
    length = max(len(example.ids) for example in group)
    ids = torch.zeros(len(group), length, dtype=torch.long)
    weights = torch.zeros(len(group), length)
    for row, example in enumerate(group):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids, weights
