"""kill -9 at random moments: a smaller version of `scripts/prove_kills.py`."""

import random
from pathlib import Path

import pytest

from tests.cli.killing import Killing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_no_kill_loses_anything_or_has_it_asked_for_again(tmp_path: Path) -> None:
    killing, chance = Killing(tmp_path, 6), random.Random(6)  # noqa: S311 - a reproducible test
    await killing.leave_alone()
    verdicts = [await killing.kill(f"killed-{n}", chance) for n in range(4)]
    assert all(verdict.is_clean for verdict in verdicts), verdicts
    assert len({verdict.n_recorded for verdict in verdicts}) > 1, "killed at one moment only"
