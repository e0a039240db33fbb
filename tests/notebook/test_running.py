"""The run of the notebook: what the form says reaches it."""

from pathlib import Path

import pytest

from engine.cli.notebook import choose, run
from engine.manifest import read_manifest
from servers.embedded.model import directory_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WEIGHTS = directory_of("tiny-s")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A GGUF file of the user's own, beside which there are no weights."""
    path = tmp_path / "mine.gguf"
    path.write_bytes((WEIGHTS / "model.gguf").read_bytes())
    return path


async def test_weights_that_the_form_names_are_those_that_the_model_is_asked_about(
    file: Path, tmp_path: Path
) -> None:
    choice = choose(
        model_name=str(file),
        phase_script="phase1a_no_heritage.py",
        checkpoint=str(WEIGHTS),
        deadline="1s",
        work_dir=tmp_path,
    )
    await run(choice)
    (arm,) = read_manifest(choice.run_dir).arms
    assert (arm.model, arm.checkpoint) == ("mine", str(WEIGHTS))
    assert arm.checkpoint_fingerprint
