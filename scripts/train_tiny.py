"""Trains the tiny models that ship with the project, or measures the ones that are there.

    python -m scripts.train_tiny --model tiny-s --out DIR   trains one model (needs the extra
                                                            `interp`; one CPU core, <= 25 minutes)
    python -m scripts.train_tiny --check                    measures both models (needs no torch)

Training data is made on the spot: a teacher plays all phases through the engine's own loop,
sandbox and introspection, so after a change of prompts or of the introspection API a retraining is
one command per model, and with --from it goes on from a trained model in a third of the time.
Everything is drawn from --seed.
"""

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

from scripts.tiny.shape import SHAPES

_MODELS = Path(__file__).parents[1] / "servers" / "embedded" / "models"


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    options = _options()
    return _check(options) if options.check else _train(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train_tiny", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", choices=sorted(SHAPES), help="which shape to train")
    parser.add_argument("--out", type=Path, help="where to write it (default: where it ships)")
    parser.add_argument("--from", dest="start", type=Path, help="trained model to go on from")
    parser.add_argument("--seed", type=int, default=11, help="of data, weights and order")
    parser.add_argument("--check", action="store_true", help="measure the models that ship")
    parser.add_argument("--probed", action="store_true", help="grant what a probe answers, too")
    parser.add_argument("--models", type=Path, default=_MODELS, help="folder of models to measure")
    parser.add_argument("--only", action="append", help="phase to measure, such as 1c; repeatable")
    parser.add_argument("-n", type=int, default=40, help="investigations per model and prompt")
    options = parser.parse_args()
    if not options.check and not options.model:
        parser.error("name a --model to train, or --check")
    return options


def _train(options: argparse.Namespace) -> int:
    from scripts.tiny.course import train_model

    started = time.perf_counter()
    train_model(
        SHAPES[options.model],
        options.out or _MODELS / options.model,
        seed=options.seed,
        start=options.start,
        log=lambda line: print(line, flush=True),
    )
    print(f"CPU {time.process_time():.0f} s, wall {time.perf_counter() - started:.0f} s")
    return 0


def _check(options: argparse.Namespace) -> int:
    from scripts.tiny.check import is_good, measure, trials
    from servers.embedded.model import load_model

    models = [load_model(name, options.models / name) for name in ("tiny-s", "tiny-m")]
    chosen = [trial for trial in trials() if not options.only or trial.name in options.only]
    measured = asyncio.run(
        measure(models, tried=chosen, n=options.n, seed=options.seed, is_probed=options.probed)
    )
    heads = f"{'blocks':>6} {'parse':>7} {'run':>7} {'done':>15} {'right figures':>15}"
    print(f"{'model':8} {'phase':22} {heads}")
    for (model, trial), found in measured.items():
        print(
            f"{model:8} {trial:22} {found.n_blocks:6} {found.parsed:7.1%} {found.ran:7.1%}"
            f" {found.n_done:4}/{found.n_experiments:<4}{found.done:6.1%}"
            f" {found.n_right_figures:4}/{found.n_figures:<4}{found.right:6.1%}"
        )
    return 0 if all(is_good(found) for found in measured.values()) else 1


if __name__ == "__main__":
    random.seed(0)
    sys.exit(main())
