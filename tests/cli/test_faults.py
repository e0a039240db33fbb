"""Whole investigations against a server that spoils one answer in ten."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.program import endpoint, run, two_arms
from tests.faults.asks import mixed
from tests.faults.faults import Fault

pytestmark = pytest.mark.slow

TRANSIENT = {
    Fault.SERVER_ERROR: 0.03,
    Fault.UNAVAILABLE: 0.02,
    Fault.RESET: 0.02,
    Fault.RESET_MIDWAY: 0.01,
    Fault.INVALID_JSON: 0.02,
}


async def test_transient_faults_cost_no_investigation(tmp_path: Path) -> None:
    flags = ("--replicates", "100", "--concurrency", "100", "--display", "none", "--out", "out")
    async with endpoint(plan=mixed(TRANSIENT)) as server:
        done = await run(*two_arms(server), *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    ends = Counter(item["stop_reason"] for item in summary["investigations"])
    assert ends == {"completed": 200}
    assert summary["models"]["a"]["turns"] == summary["models"]["b"]["turns"] == 500


async def test_what_no_retry_mends_is_an_end_of_infrastructure(tmp_path: Path) -> None:
    plan = mixed({Fault.WRONG_KEY: 0.1, **TRANSIENT}, seed=3)
    flags = ("--replicates", "20", "--concurrency", "20", "--display", "none", "--out", "out")
    async with endpoint(plan=plan) as server:
        done = await run(*two_arms(server), *flags, cwd=tmp_path)
    assert done.code == 4, done.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    ends = Counter(item["stop_reason"] for item in summary["investigations"])
    assert set(ends) == {"completed", "rejected"}
    n_excluded = sum(arm["excluded"] for arm in summary["models"].values())
    assert n_excluded == ends["rejected"]
