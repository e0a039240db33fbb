"""All conditions on a real vLLM server, and on a machine whose vLLM lends its torch to probes."""

from pathlib import Path

import pytest

from engine.introspection.probe import PROBED
from tests.cli.conditions import check_conditions, granted
from tests.contracts.vllm.pair import Served

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("place", [0, 1])
async def test_all_run_to_their_end_on_vllm(place: int, vllm_pair: Served, tmp_path: Path) -> None:
    served = vllm_pair.endpoints[place]
    arm = ("--endpoint", f"{served.model}={served.url}")
    weights = ("--checkpoint", f"{served.model}={served.checkpoint}")
    out = await check_conditions(tmp_path, served.model, *arm, *weights)
    assert set(PROBED) <= granted(out)


@pytest.mark.parametrize("model", ["tiny-s", "tiny-m"])
async def test_all_run_to_their_end_where_the_weights_are_probed(
    model: str, vllm_program: Path, tmp_path: Path
) -> None:
    assert vllm_program.exists()
    out = await check_conditions(tmp_path, model)
    assert set(PROBED) <= granted(out)
