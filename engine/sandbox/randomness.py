"""Random numbers of a worker: what a seed sets, generators that were given none included.

Those draw their first state from the machine, so that a block which is run again prints something
else. Here they draw it from one stream per process. `secrets`, `uuid` and `os.urandom` are left
alone: who asks for them wants what nobody can repeat.
"""

import os
import random
from collections.abc import Callable
from functools import wraps
from types import MethodType

import numpy as np

_SEED_BITS = 128


def seed_generators(seed: int | None) -> None:
    """Set every generator of this process by `seed`, or anew without one.

    Forked processes share the state of their generators: each needs its own.
    """
    entropy = int.from_bytes(os.urandom(16)) if seed is None else seed
    random.seed(entropy)
    np.random.seed(entropy % 2**32)  # noqa: NPY002 - model code uses the legacy generator too
    bits = random.Random(f"first states {entropy}").getrandbits  # noqa: S311 - no secret
    np.random.bit_generator.randbits = bits  # pyright: ignore[reportAttributeAccessIssue] - where numpy takes them from
    _seed_by(lambda: bits(_SEED_BITS))


def _seed_by(draw: Callable[[], int]) -> None:
    """Let generators of `random` that are given no seed take one from `draw`."""
    seed_by = random.Random.seed

    @wraps(seed_by)
    def seed(
        self: random.Random,
        a: float | str | bytes | bytearray | None = None,
        version: int = 2,
    ) -> None:
        seed_by(self, draw() if a is None else a, version)

    random.Random.seed = seed
    # That of the module is a method of a generator of its own.
    random.seed = MethodType(seed, random.seed.__self__)
