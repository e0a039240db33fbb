"""Random numbers of a worker: the same again with the same seed, whoever draws them."""

import random

import pytest

from engine.sandbox.host import ProcessSandbox
from tests.sandbox.workshop import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

_UNSEEDED = (
    "np.random.default_rng().random()",
    "np.random.RandomState().rand()",
    "np.random.Generator(np.random.PCG64()).random()",
    "random.Random().random()",
    "[random.seed(), random.random()][1]",
    "[np.random.seed(), np.random.rand()][1]",
)


async def _printed(sandbox: ProcessSandbox, seed: int | None, *draws: str) -> str:
    block = f"import random\nimport numpy as np\nprint({', '.join(draws)})"
    async with opened(sandbox, seed=seed) as workspace:
        execution = await workspace.execute(block)
    assert execution.error is None, execution.output
    return execution.output


@pytest.mark.parametrize("draw", _UNSEEDED)
async def test_a_generator_without_a_seed_follows_that_of_the_workspace(
    sandbox: ProcessSandbox, draw: str
) -> None:
    first = await _printed(sandbox, 5, draw)
    assert await _printed(sandbox, 5, draw) == first
    assert await _printed(sandbox, 6, draw) != first


@pytest.mark.parametrize("draw", _UNSEEDED)
async def test_generators_without_a_seed_differ_from_one_another(
    sandbox: ProcessSandbox, draw: str
) -> None:
    assert await _printed(sandbox, 5, f"{draw} == {draw}") == "False\n"


@pytest.mark.parametrize("draw", _UNSEEDED)
async def test_without_a_seed_every_workspace_draws_others(
    sandbox: ProcessSandbox, draw: str
) -> None:
    assert await _printed(sandbox, None, draw) != await _printed(sandbox, None, draw)


async def test_a_generator_with_a_seed_draws_what_it_does_everywhere(
    sandbox: ProcessSandbox,
) -> None:
    drawn = random.Random(3).random()  # noqa: S311 - no secret
    assert await _printed(sandbox, 5, "random.Random(3).random()") == f"{drawn}\n"


async def test_a_seed_of_the_wrong_type_is_refused_without_a_frame_of_ours(
    sandbox: ProcessSandbox,
) -> None:
    async with opened(sandbox) as workspace:
        execution = await workspace.execute("import random\nrandom.Random([1])")
    assert execution.error is not None
    assert execution.error.kind == "TypeError"
    assert "engine" not in execution.output
