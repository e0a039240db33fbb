"""What is advised where there were not enough replicates for a verdict."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.enlarging import advice
from engine.manifest import Design, read_manifest, write_manifest
from engine.purity import Secrets
from engine.report.purity import write_secrets
from engine.report.run import read_run
from engine.transcript import Investigation, StopReason
from tests.report.making import Said, make_run

Ends = Callable[[Investigation], StopReason | None]


def plain(_: Investigation) -> list[Said]:
    return [Said()] * 2


def seen_in(impure: Callable[[Investigation], bool]) -> Callable[[Investigation], list[Said]]:
    """Talk in which these investigations print what is hidden from them."""

    def talk(case: Investigation) -> list[Said]:
        return [Said(output="lantern\n")] if impure(case) else [Said()]

    return talk


def hiding(run: Path) -> Path:
    write_secrets(run, Secrets(terms=("lantern",), documents={}))
    return run


def test_the_number_is_settled_by_a_flag_named_before_more_replicates(tmp_path: Path) -> None:
    found = advice(read_run(make_run(tmp_path / "run", plain, replicates=4))) or ""
    assert found.index("--until-mde SIZE") < found.index("--replicates 6")
    assert "looked at again, p is too small" in found


def test_a_flag_that_was_given_is_not_advised(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", plain, replicates=4)
    write_manifest(run, read_manifest(run).model_copy(update={"design": Design(until_mde=0.1)}))
    found = advice(read_run(run)) or ""
    assert "a verdict takes about --replicates 6" in found
    assert "--until-mde" not in found


def test_replicates_are_reckoned_with_those_that_will_not_count(tmp_path: Path) -> None:
    talk = seen_in(lambda case: case.model == "large" and case.replicate % 3 != 0)
    run = hiding(make_run(tmp_path / "run", talk, replicates=12))
    assert "--replicates 18" in (advice(read_run(run)) or "")


@pytest.mark.parametrize("end", [StopReason.SERVER_LOST, None])
def test_what_was_lost_or_has_no_end_is_resumed_first(
    tmp_path: Path, end: StopReason | None
) -> None:
    def ends(case: Investigation) -> StopReason | None:
        is_lost = case.model == "large" and case.replicate >= 4
        return end if is_lost else StopReason.COMPLETED

    run = make_run(tmp_path / "run", plain, replicates=12, ends=ends)
    found = advice(read_run(run)) or ""
    assert f"resume {run} first" in found
    assert "--replicates" not in found


def test_replicates_that_were_not_begun_are_resumed_first(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", plain, replicates=4)
    write_manifest(run, read_manifest(run).model_copy(update={"replicates": 10}))
    assert f"resume {run} first" in (advice(read_run(run)) or "")


def test_where_all_of_an_arm_saw_what_is_hidden_no_number_is_advised(tmp_path: Path) -> None:
    talk = seen_in(lambda case: case.model == "large")
    run = hiding(make_run(tmp_path / "run", talk, replicates=3))
    found = advice(read_run(run)) or ""
    assert "none of them counts" in found
    assert "--" not in found
