"""Builders for the tests of the launcher."""

import json
import os
import sys
from pathlib import Path

import psutil

from servers.launch.values import Patience, Progress, ServerStart

PATIENCE = Patience(start_s=60, silent_s=30, poll_s=0.02, answer_s=20, term_s=5, backoff_s=0.05)
ROOT = Path(__file__).parents[3]


def make_start(folder: Path, model: str = "small", *flags: str, **behaviour: object) -> ServerStart:
    """Make a start of the fake that behaves as told."""
    told = folder / f"{model}.json"
    told.write_text(json.dumps(behaviour))
    return ServerStart(
        model=model,
        argv=(
            *(sys.executable, "-m", "servers.fake_vllm", "--behaviour", str(told), "serve"),
            *("some/weights", "--served-model-name", model, "--max-model-len", "8192", *flags),
        ),
        environment={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        max_model_len=8192,
    )


class Told:
    """What the launcher told, in order."""

    def __init__(self) -> None:
        self.steps: list[Progress] = []

    def __call__(self, step: Progress) -> None:
        self.steps.append(step)

    def states(self, model: str = "small") -> list[str]:
        return [step.state for step in self.steps if step.model == model]

    def details(self, state: str) -> str:
        return "\n".join(step.detail for step in self.steps if step.state == state)


def family_of(pid: int) -> list[psutil.Process]:
    """All processes below `pid`, and itself."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive_in(folder: Path) -> list[int]:
    """Process ids of all fakes that were told what to do in `folder`, wherever they hang now."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) and process.status() != "zombie":
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
