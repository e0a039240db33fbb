"""Measure introspection: what shared answers cost, and how large models are described.

    python scripts/bench_introspection.py [CHECKPOINT] [--investigations 1000]

CHECKPOINT: directory of a model; default: the larger one that ships. Prints one line per figure
with its goal. Goals are for an idle core; a busy machine misses those in milliseconds without
anything being wrong.
"""

import argparse
import asyncio
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.introspection.weights import Weights
from servers.embedded.model import tiny_models

_N_QUESTIONS = 20
_N_ROUNDS = 5
Questions = Sequence[tuple[str, dict[str, object]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure introspection.")
    parser.add_argument("checkpoint", type=Path, nargs="?", default=tiny_models()[-1].directory)
    parser.add_argument("--investigations", type=int, default=1000)
    options = parser.parse_args()
    checkpoint = open_checkpoint(options.checkpoint)
    _structure(checkpoint)
    _largest(checkpoint)
    asyncio.run(_shared(checkpoint, options.investigations))


def _structure(checkpoint: Checkpoint) -> None:
    subject = Subject(checkpoint)
    for method, goal_ms in (
        ("weights.list_parameters", 20),
        ("architecture.get_architecture_summary", 50),
    ):
        call = subject.methods[method].bound({})
        call()
        best_ms = min(_cpu_s(call) for _ in range(_N_ROUNDS)) * 1e3
        _show(f"{method}, warm, not kept", best_ms, "ms", f"<= {goal_ms}")


def _largest(checkpoint: Checkpoint) -> None:
    largest = max(checkpoint.parameters.values(), key=lambda each: each.n_values)
    weights, before = Weights(checkpoint), _peak_mb()
    seconds = _cpu_s(lambda: weights.get_weight_statistics(largest.name))
    _show(f"statistics of {largest.name}, {largest.n_values / 1e6:.1f} M values", seconds, "s")
    _show("  peak memory above what was there", _peak_mb() - before, "MB", "<= 300")


async def _shared(checkpoint: Checkpoint, n_investigations: int) -> None:
    subject = Subject(checkpoint)
    questions = _questions(checkpoint)

    async def investigate() -> None:
        table = CapabilityTable(("architecture", "weights"), subject=subject)
        for method, arguments in questions:
            await table.answer(method, arguments)

    await investigate()
    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(n_investigations - 1):
            group.create_task(investigate())
    spent_s = time.process_time() - started
    costs = subject.answers.costs.values()
    n_asked = sum(cost.n_asked for cost in costs)
    what = f"{n_investigations} investigations, {_N_QUESTIONS} questions each"
    _show(f"{what}: computed", sum(cost.n_computed for cost in costs), "times", f"{_N_QUESTIONS}")
    _show("  CPU per kept answer", spent_s / (n_asked - _N_QUESTIONS) * 1e3, "ms", "<= 0.3")


def _questions(checkpoint: Checkpoint) -> Questions:
    names = [name for name in checkpoint.parameters if len(checkpoint.parameters[name].shape) > 1]
    half = names[: _N_QUESTIONS // 2]
    about_values = [("weights.get_weight_statistics", {"parameter_name": name}) for name in half]
    about_layers = [
        ("architecture.get_layer_info", {"layer_name": name.rpartition(".")[0]}) for name in half
    ]
    return [(method, dict(given)) for method, given in (*about_values, *about_layers)]


def _cpu_s(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _show(what: str, value: float, unit: str, goal: str = "") -> None:
    print(f"{what:<72} {value:>10.3f} {unit:<6} {goal}")


if __name__ == "__main__":
    main()
