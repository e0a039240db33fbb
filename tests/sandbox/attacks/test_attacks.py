"""Every attack on every ground: no escape where walls stand, no harm to others anywhere."""

import fcntl
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tests.sandbox.attacks.arena import CASES, Report, Result, cases_on
from tests.sandbox.attacks.case import Case
from tests.sandbox.attacks.grounds import GROUNDS, Ground
from tests.sandbox.attacks.held import KEY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="the walls are those of Linux"),
]
_POSSIBLE = [ground for ground in GROUNDS.values() if ground.is_possible]
_HERE = [
    (ground.name, family)
    for ground in _POSSIBLE
    for family in dict.fromkeys(case.family for case in cases_on(ground))
]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder that all test processes of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@cache
def _report(ground: str, shared: Path) -> Report:
    """Carry the attacks out once per run, whichever test process comes first."""
    kept = shared / f"attacks on {ground}.json"
    with (shared / f"attacks on {ground}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(_carried_out(ground, shared))
    return msgspec.json.decode(kept.read_bytes(), type=Report)


def _carried_out(ground: str, shared: Path) -> bytes:
    folder = shared / f"arena of {ground}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    arena = [sys.executable, "-m", "tests.sandbox.attacks.arena", ground, str(folder)]
    # The environment of the host holds a key: attacks look for it.
    done = subprocess.run(
        arena,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={"OPENAI_API_KEY": KEY, "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr.decode()[-4_000:]
    return done.stdout


@pytest.mark.parametrize(("ground", "family"), _HERE)
def test_attacks_end_as_they_must(ground: str, family: str, shared: Path) -> None:
    results = _report(ground, shared).results
    wrong = {
        case.name: results[case.name]
        for case in cases_on(GROUNDS[ground])
        if case.family == family and not _is_held(case, results[case.name])
    }
    assert not wrong


def _is_held(case: Case, result: Result) -> bool:
    """Whether nothing was gained, the block ended as it must, and the next block works."""
    is_gained = "ESCAPED" in result.output or "REACHED" in result.output
    is_ended_well = _ENDS[case.end](result) and case.error in {"", result.error}
    is_kept = result.error == "NamespaceLost" or result.kept == "kept"
    goes_on = case.spoils or (is_kept and (result.after, result.after_error) == ("42\n", ""))
    return not is_gained and is_ended_well and case.prints in result.output and goes_on


_ENDS: dict[str, Callable[[Result], bool]] = {
    "refused": lambda result: result.error == "" and "refused" in result.output,
    "lost": lambda result: result.error == "NamespaceLost",
    "timeout": lambda result: result.error == "Timeout",
    "ok": lambda result: result.error == "",
    "error": lambda result: result.error not in {"", "Timeout", "NamespaceLost"},
    "any": lambda _result: True,
}


@pytest.mark.parametrize("ground", _POSSIBLE, ids=lambda ground: ground.name)
def test_the_ground_tells_its_tier(ground: Ground, shared: Path) -> None:
    report = _report(ground.name, shared)
    assert report.tier is ground.tier
    assert not set(report.walls) & set(ground.without)


@pytest.mark.parametrize("ground", _POSSIBLE, ids=lambda ground: ground.name)
def test_nobody_else_is_harmed(ground: Ground, shared: Path) -> None:
    report = _report(ground.name, shared)
    assert report.heard == []
    assert report.made == []
    assert report.is_secret_whole
    assert report.sibling == "intact"


def test_there_are_attacks_enough() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 120
    assert sum(case.is_own for case in CASES) >= 30
