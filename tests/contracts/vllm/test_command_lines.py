"""Every command line that a plan can lead to, before vLLM's own parser."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from servers.command import arguments
from servers.fit import LaunchPlan, ServerPlan, fit
from servers.hardware import PROFILES
from servers.model import PRECISIONS
from servers.presets import PRESETS
from tests.contracts.vllm.pair import cpu_environment
from tests.servers.fitting import PAIR, asked, machine

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


def refusals(program: Path, lines: Sequence[Sequence[str]]) -> list[str]:
    """Ask the parser of the vLLM that `program` belongs to."""
    asked_text = "".join(json.dumps(line) + "\n" for line in lines)
    answer = subprocess.run(
        [program.with_name("python"), Path(__file__).with_name("parse.py")],
        input=asked_text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=cpu_environment() | {"VLLM_TARGET_DEVICE": "cpu"},
    )
    answers = [json.loads(text) for text in answer.stdout.splitlines() if text[:1] in {'"', "n"}]
    assert len(answers) == len(lines)
    return [text for text in answers if text is not None]


def planned() -> Iterator[ServerPlan]:
    """Servers of every preset on every profile in every precision, and what is special."""
    for profile in PROFILES:
        for key in PRESETS:
            for precision in PRECISIONS:
                yield from servers(fit(asked(profile, key, precision=precision)))
        yield from servers(fit(asked(profile, *PAIR)))
    yield from servers(fit(asked("h100", *PAIR, has_fp8_kv=True)))
    yield from servers(fit(asked(machine(12, 12), "qwen2.5-7b", precision="fp16")))


def servers(found: object) -> Iterator[ServerPlan]:
    if isinstance(found, LaunchPlan):
        yield from (server for server in found.servers if server.runtime == "vllm")


def test_vllm_accepts_every_planned_command_line_and_no_other(vllm_program: Path) -> None:
    plans = list(planned())
    plans.append(msgspec.structs.replace(plans[0], has_sleep=True))
    lines = {arguments(server) for server in plans}
    assert len(lines) > 50
    (said,) = refusals(vllm_program, [*sorted(lines), ("some/weights", "--no-such-flag")])
    assert "--no-such-flag" in said
