from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.introspection.checkpoint import open_checkpoint

Write = Callable[[Mapping[str, Any], Mapping[str, object]], Path]


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (2, 3, 4), (3, 500_000)])
def test_blocks_hold_every_value_in_order(write_checkpoint: Write, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32).reshape(shape)
    checkpoint = open_checkpoint(write_checkpoint({"a.weight": array}, {}))
    blocks = list(checkpoint.blocks("a.weight"))
    assert np.array_equal(np.concatenate(blocks), array.reshape(-1))
    assert max(block.size for block in blocks) <= 1 << 20


def test_a_sample_is_evenly_spaced_rows(write_checkpoint: Write) -> None:
    array = np.arange(600, dtype=np.float32).reshape(100, 6)
    checkpoint = open_checkpoint(write_checkpoint({"a.weight": array}, {}))
    assert np.array_equal(checkpoint.sample("a.weight", most=20), array[[0, 49, 99]].reshape(-1))


def test_a_sample_of_few_values_is_all_of_them(write_checkpoint: Write) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    checkpoint = open_checkpoint(write_checkpoint({"a.weight": array}, {}))
    assert np.array_equal(checkpoint.sample("a.weight", most=20), array.reshape(-1))
