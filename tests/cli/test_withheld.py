"""Endpoints whose weights nobody names: nothing about their models can be granted."""

from pathlib import Path

import pytest

from tests.cli.program import bare_arm, bare_arms, endpoint, one_arm, run


@pytest.mark.parametrize("phase", ["comparison", "1a"])
async def test_a_phase_about_the_model_is_refused_where_no_arm_could_measure(
    phase: str, tmp_path: Path
) -> None:
    async with endpoint() as server:
        done = await run("compare", phase, *bare_arms(server), "--out", "out", cwd=tmp_path)
    said = " ".join(done.err.split())
    assert done.code == 3, said
    assert f"phase {phase} asks models to measure themselves" in said
    assert "the weights of a, b cannot be read" in said
    assert "--checkpoint a=DIR --checkpoint b=DIR" in said
    assert not server.asks
    assert not (tmp_path / "out").exists()


async def test_one_arm_without_weights_is_named_alone(tmp_path: Path) -> None:
    async with endpoint() as server:
        arms = (*one_arm(server, "a"), *bare_arm(server, "b"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
    said = " ".join(done.err.split())
    assert done.code == 3, said
    assert "the weights of b cannot be read. Name them with --checkpoint b=DIR, or" in said


async def test_the_doctor_finds_it_before_a_run_does(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run("doctor", *bare_arms(server), cwd=tmp_path)
    assert done.code == 3, done.err
    assert "--checkpoint a=DIR" in " ".join((done.out + done.err).split())
