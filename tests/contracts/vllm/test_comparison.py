"""The main job on two real servers: `compare` as a process of its own."""

import json
import re
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.endpoint import Endpoint
from tests.contracts.vllm.pair import ROOT, Served

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run_dir(vllm_pair: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished comparison over both servers, three replicates each."""
    out = tmp_path_factory.mktemp("comparison") / "run"
    before = {endpoint.model: n_requests(endpoint) for endpoint in vllm_pair.endpoints}
    flags: list[str] = []
    for endpoint in vllm_pair.endpoints:
        flags += ["--endpoint", f"{endpoint.model}={endpoint.url}"]
        flags += ["--checkpoint", f"{endpoint.model}={endpoint.checkpoint}"]
    command = (sys.executable, "-m", "engine.run", "compare", "comparison", *flags)
    done = subprocess.run(
        (*command, "--replicates", "3", "--seed", "7", "--out", str(out), "--display", "log"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = {endpoint.model: n_requests(endpoint) for endpoint in vllm_pair.endpoints}
    served = {model: after[model] - n for model, n in before.items()}
    (out.parent / "served.json").write_text(json.dumps(served))
    return out


def n_requests(endpoint: Endpoint) -> int:
    """Requests that the server has answered since its start, as it counts them itself."""
    with closing(HTTPConnection(urlsplit(endpoint.url).netloc, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found = re.findall(r"^vllm:request_success_total\{[^}]*\} ([\d.e+]+)$", text, re.MULTILINE)
    assert found, "the server counts its requests"
    return int(sum(map(float, found)))


@pytest.fixture(scope="module")
def events(run_dir: Path) -> list[dict[str, Any]]:
    lines = (run_dir / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def completions(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Completions by model."""
    model_of = {
        event["investigation"]: event["model"]
        for event in events
        if event["event"] == "investigation_started"
    }
    found: dict[str, list[dict[str, Any]]] = {model: [] for model in model_of.values()}
    for event in events:
        if event["event"] == "completion_received":
            found[model_of[event["investigation"]]].append(event["completion"])
    return found


def test_requests_of_the_two_models_overlap_in_time(events: list[dict[str, Any]]) -> None:
    found = completions(events)
    assert any(
        max(one["sent"], other["sent"]) < min(one["received"], other["received"])
        for one in found["a"]
        for other in found["b"]
    )


def test_each_server_answered_the_requests_of_its_own_arm_and_no_other(
    run_dir: Path, events: list[dict[str, Any]]
) -> None:
    served = json.loads((run_dir.parent / "served.json").read_text())
    assert served == {model: len(replies) for model, replies in completions(events).items()}


def test_findings_that_were_read_are_the_investigations_own(run_dir: Path) -> None:
    summary = json.loads((run_dir / "summary.json").read_text())
    assert {arm["impure"] for arm in summary["models"].values()} == {0}
    assert sum(each["findings"] for each in summary["investigations"]) > 0


def test_the_verdict_on_three_seeds_is_that_they_are_too_few(run_dir: Path) -> None:
    comparison = json.loads((run_dir / "model_comparison.json").read_text())["comparison"]
    assert comparison["verdict"] == "not enough runs"
    assert "3 more seeds (6 in all)" in comparison["words"]


def test_every_investigation_ended_by_the_models_own_doing(events: list[dict[str, Any]]) -> None:
    reasons = [event["stop_reason"] for event in events if event["event"] == "investigation_ended"]
    assert len(reasons) == 6
    assert not set(reasons) & {"server_lost", "rejected", "sandbox_lost", "fault", "interrupted"}


def executions(events: list[dict[str, Any]], model: str) -> list[dict[str, Any]]:
    mine = {
        event["investigation"]
        for event in events
        if event["event"] == "investigation_started" and event["model"] == model
    }
    ended = [event for event in events if event["event"] == "turn_ended"]
    return [run for event in ended if event["investigation"] in mine for run in event["executions"]]


@pytest.mark.parametrize("model", ["a", "b"])
def test_the_comparison_counts_what_the_events_hold(
    run_dir: Path, events: list[dict[str, Any]], model: str
) -> None:
    counted = json.loads((run_dir / "model_comparison.json").read_text())["models"][model]
    found = executions(events, model)
    assert counted["turns"] == len(completions(events)[model])
    assert counted["code_blocks_executed"] == len(found) > 0
    assert counted["execution_errors"] == sum(1 for run in found if run.get("error"))


@pytest.mark.parametrize("model", ["a", "b"])
def test_the_manifest_names_the_checkpoint_that_a_server_serves(
    run_dir: Path, vllm_pair: Served, model: str
) -> None:
    arms = json.loads((run_dir / "manifest.json").read_text())["arms"]
    served = {endpoint.model: endpoint.checkpoint for endpoint in vllm_pair.endpoints}
    assert {arm["model"]: arm["checkpoint"] for arm in arms}[model] == served[model]


def test_servers_count_the_tokens_of_every_completion(events: list[dict[str, Any]]) -> None:
    usages = [found["usage"] for model in completions(events).values() for found in model]
    assert all(usage["prompt_tokens"] > 0 < usage["completion_tokens"] for usage in usages)
