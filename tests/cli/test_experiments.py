"""The scripts with the historic names."""

import asyncio
import sys
from pathlib import Path

import pytest

from engine.settings import child_environment
from tests.cli.program import ROOT, WITHIN_S, Outcome, endpoint, events_of, two_arms

SCRIPTS = sorted((ROOT / "scripts" / "experiments").glob("phase1*.py"))
PHASES = {
    "phase1a_no_heritage": "1a",
    "phase1a_research_driven": "1a-research",
    "phase1b_early_heritage": "1b",
    "phase1c_late_heritage": "1c",
    "phase1d_delayed_heritage": "1d",
    "phase1e_wrong_heritage": "1e",
}


async def script(name: str, *arguments: str, cwd: Path, **variables: str) -> Outcome:
    """Start a script as its users do, with `variables` in its environment."""
    known = {key: value for key, value in child_environment().items() if not key.startswith("AGI_")}
    path = ROOT / "scripts" / "experiments" / f"{name}.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        path,
        *arguments,
        cwd=cwd,
        env=known | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


def test_all_seven_are_there() -> None:
    assert {path.stem for path in SCRIPTS} == {*PHASES, "phase1_model_comparison"}


@pytest.mark.parametrize("name", PHASES)
async def test_a_script_runs_its_phase_with_the_model_of_the_environment(
    name: str, tmp_path: Path
) -> None:
    async with endpoint() as server:
        flags = (*two_arms(server), "--out", "out", "--display", "none")
        done = await script(name, *flags, cwd=tmp_path, AGI_MODEL_NAME="b")
    assert done.code == 0, done.err
    assert "model: b (AGI_MODEL_NAME says so)." in done.err
    cases = {getattr(event, "investigation", None) for event in events_of(tmp_path / "out")}
    assert cases - {None} == {f"b.{PHASES[name]}.0"}


async def test_the_default_model_is_said_aloud_and_refused_where_it_is_not_served(
    tmp_path: Path,
) -> None:
    async with endpoint() as server:
        done = await script("phase1a_no_heritage", *two_arms(server), cwd=tmp_path)
    assert done.code == 2, done.err
    assert "model: Qwen/Qwen2.5-3B-Instruct (the default;" in done.err
    assert "not served here. There are: a, b." in done.err


async def test_the_comparison_ignores_the_model_and_says_so(tmp_path: Path) -> None:
    async with endpoint() as server:
        flags = (*two_arms(server), "--out", "out", "--display", "none")
        name = "phase1_model_comparison"
        done = await script(name, *flags, cwd=tmp_path, AGI_MODEL_NAME="b")
    assert done.code == 0, done.err
    assert "AGI_MODEL_NAME=b is ignored" in done.err
    assert (tmp_path / "out" / "model_comparison.json").exists()


async def test_the_comparison_ignores_a_model_that_is_here(tmp_path: Path) -> None:
    name = "phase1_model_comparison"
    done = await script(name, "--dry-run", cwd=tmp_path, AGI_MODEL_NAME="tiny-m")
    assert done.code == 0, done.err
    assert "AGI_MODEL_NAME=tiny-m is ignored" in done.err
    assert "models at the same time: tiny-s, tiny-m;" in done.err


async def test_a_comparison_of_named_models_says_nothing_of_the_variable(tmp_path: Path) -> None:
    flags = ("--models", "tiny-s,tiny-m", "--dry-run")
    name = "phase1_model_comparison"
    done = await script(name, *flags, cwd=tmp_path, AGI_MODEL_NAME="tiny-m")
    assert done.code == 0, done.err
    assert "AGI_MODEL_NAME" not in done.err


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
async def test_no_script_passes_over_a_precision_that_is_none(path: Path, tmp_path: Path) -> None:
    done = await script(path.stem, cwd=tmp_path, AGI_MODEL_NAME="tiny-s", AGI_QUANTIZATION="5bit")
    assert done.code == 2, done.err
    assert "AGI_QUANTIZATION is '5bit'" in done.err


async def test_a_precision_that_cannot_be_chosen_is_not_passed_over(tmp_path: Path) -> None:
    flags = ("--dry-run",)
    environment = {"AGI_MODEL_NAME": "tiny-s", "AGI_QUANTIZATION": "4bit"}
    done = await script("phase1a_no_heritage", *flags, cwd=tmp_path, **environment)
    assert done.code == 0, done.err
    assert "The precision 4bit that is asked for changes nothing" in done.err
