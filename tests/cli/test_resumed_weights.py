"""A run whose models are served here is taken up with the weights that it has read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from servers.embedded.model import tiny_models
from tests.cli.program import WEIGHTS, Outcome, endpoint, one_arm, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SHORT = ("--max-turns", "1", "--out", "out")
MODEL = tiny_models()[1]


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """Weights that a model's own are not."""
    copy = shutil.copytree(MODEL.directory, tmp_path / "edited")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "edited": True}))
    return copy


def arms(run_dir: Path) -> list[dict[str, Any]]:
    return json.loads((run_dir / "manifest.json").read_text())["arms"]


async def begun(*flags: str, cwd: Path) -> Outcome:
    """Begin a run that stops after its first turn."""
    done = await run(*flags, *SHORT, cwd=cwd)
    assert done.code == 4, done.err
    return done


async def test_weights_that_were_named_need_no_flag_again(tmp_path: Path, edited: Path) -> None:
    named = ("--model", "tiny-m", "--checkpoint", f"tiny-m={edited}")
    await begun("run", "comparison", *named, cwd=tmp_path)
    done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err


async def test_weights_of_a_file_need_no_flag_again(tmp_path: Path, edited: Path) -> None:
    shutil.copy(MODEL.gguf, tmp_path / "mine.gguf")
    named = ("--model", "./mine.gguf", "--checkpoint", f"mine={edited}")
    await begun("run", "comparison", *named, cwd=tmp_path)
    done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err


async def test_twins_have_the_weights_that_were_named(tmp_path: Path, edited: Path) -> None:
    named = ("--models", "tiny-m,tiny-m", "--checkpoint", f"tiny-m={edited}")
    await begun("compare", *named, cwd=tmp_path)
    done = await run("resume", "out", cwd=tmp_path)
    moved = edited.rename(tmp_path / "moved")
    again = await run("resume", "out", "--checkpoint", f"tiny-m={moved}", cwd=tmp_path)
    assert (done.code, again.code) == (0, 0), done.err + again.err
    assert "read from" not in done.err
    assert f"tiny-m-again: its weights are read from {moved}" in again.err


async def test_a_place_is_found_from_elsewhere(tmp_path: Path, edited: Path) -> None:
    named = ("--model", "tiny-m", "--checkpoint", f"tiny-m={edited.name}")
    await begun("run", "comparison", *named, cwd=tmp_path)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    done = await run("resume", tmp_path / "out", cwd=elsewhere)
    assert done.code == 0, done.err


async def test_a_models_own_weights_are_taken_where_they_lie_now(tmp_path: Path) -> None:
    copy = shutil.copytree(MODEL.directory, tmp_path / "copy")
    named = ("--model", "tiny-m", "--checkpoint", f"tiny-m={copy}")
    await begun("run", "comparison", *named, cwd=tmp_path)
    shutil.rmtree(copy)
    done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err


async def test_a_run_that_recorded_no_samples_of_tensors_is_gone_on_with(tmp_path: Path) -> None:
    await begun("run", "comparison", "--model", "tiny-m", cwd=tmp_path)
    manifest = tmp_path / "out" / "manifest.json"
    whole = arms(tmp_path / "out")[0]["checkpoint_fingerprint"]
    manifest.write_text(manifest.read_text().replace(whole, whole.partition(":")[0]))
    done = await run("resume", "out", cwd=tmp_path)
    assert ":" in whole
    assert done.code == 0, done.err


async def test_a_refusal_of_weights_names_the_flag(tmp_path: Path, edited: Path) -> None:
    await begun("run", "comparison", "--model", "tiny-m", cwd=tmp_path)
    done = await run("resume", "out", "--checkpoint", f"tiny-m={edited}", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "checkpoint_fingerprint of tiny-m was" in done.err
    assert "Name the weights that it has read with --checkpoint tiny-m=DIR" in done.err


async def test_a_fork_has_the_weights_of_its_run(tmp_path: Path, edited: Path) -> None:
    named = ("--model", "tiny-m", "--checkpoint", f"tiny-m={edited}")
    await begun("run", "comparison", *named, cwd=tmp_path)
    done = await run("fork", "out", "--at", "1", "--out", "forked", cwd=tmp_path)
    assert done.code == 0, done.err
    assert arms(tmp_path / "forked")[0]["checkpoint"] == str(edited)


async def test_a_model_served_here_has_the_weights_named_for_it_beside_an_endpoint(
    tmp_path: Path, edited: Path
) -> None:
    async with endpoint() as server:
        named = (*one_arm(server), "--checkpoint", f"tiny-m={edited}")
        await begun("compare", "--models", "a,tiny-m", *named, cwd=tmp_path)
        done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert [arm["checkpoint"] for arm in arms(tmp_path / "out")] == [str(WEIGHTS), str(edited)]
