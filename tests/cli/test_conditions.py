"""All conditions on the models that ship: real servers, real code, each phase to its end."""

from pathlib import Path

import pytest

from engine.introspection.probe import PROBED
from tests.cli.conditions import check_conditions, granted

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("model", ["tiny-s", "tiny-m"])
async def test_all_run_to_their_end_where_nothing_can_be_probed(model: str, tmp_path: Path) -> None:
    found = granted(await check_conditions(tmp_path, model))
    assert {"architecture", "weights"} <= found
    assert not found & set(PROBED)
