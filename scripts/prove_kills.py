"""Kills runs with kill -9 at random moments, and shows that a resume loses and repeats nothing.

    python -m scripts.prove_kills --runs 100 --investigations 50

Every run is the real program against a server that gives each request the same reply. After a
resume its transcripts must be those of an uninterrupted run, byte for byte but for times, and the
server must have been asked for nothing that was in the journal already. Exit code 1 if not.
"""

import argparse
import asyncio
import random
import tempfile
from pathlib import Path

from tests.cli.killing import Killing


async def _prove(n_runs: int, n_investigations: int, seed: int, folder: Path) -> int:
    killing, chance = Killing(folder, n_investigations), random.Random(seed)  # noqa: S311 - to be repeated
    await killing.leave_alone()
    n_unclean = 0
    for number in range(n_runs):
        verdict = await killing.kill(f"run-{number}", chance)
        n_unclean += not verdict.is_clean
        print(
            f"{number + 1:4}  killed with {verdict.n_recorded} completions: "
            f"{verdict.n_asked_twice} asked twice, {verdict.n_different} transcripts differ",
            flush=True,
        )
    print(f"{n_runs} runs of {n_investigations} investigations killed, {n_unclean} not clean")
    return n_unclean


def _even(text: str) -> int:
    if text.isdecimal() and int(text) and int(text) % 2 == 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: two arms share them: 2, 4, 6 and so on")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--investigations", type=_even, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = _prove(given.runs, given.investigations, given.seed, Path(folder))
        raise SystemExit(1 if asyncio.run(work) else 0)


if __name__ == "__main__":
    _main()
