"""Runs to report on: journals written event by event, as the engine writes them."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from engine.events import (
    AnyEvent,
    CompletionReceived,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationEnded,
    InvestigationStarted,
    RunEnded,
    RunStarted,
    TurnEnded,
)
from engine.manifest import Arm, Manifest, SandboxFacts, write_manifest
from engine.runner import plan
from engine.transcript import (
    Call,
    Completion,
    Execution,
    ExecutionError,
    Investigation,
    Message,
    StopReason,
    Usage,
)
from phases.load import get_phases

MODELS = ("small", "large")
ROOT = Path(__file__).parents[2]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One turn as it is made up."""

    reply: str = "I look.\n\n```python\nprint(1)\n```"
    code: str | None = "print(1)"
    output: str = "1\n"
    error: ExecutionError | None = None
    calls: tuple[Call, ...] = ()


Talk = Callable[[Investigation], Sequence[Said]]
"""What is said in an investigation; all of it in the first experiment of its phase."""


def make_run(
    folder: Path,
    talk: Talk,
    *,
    models: Sequence[str] = MODELS,
    phases: Sequence[str] = ("comparison",),
    replicates: int = 3,
    ends: Callable[[Investigation], StopReason | None] = lambda _: StopReason.COMPLETED,
) -> Path:
    """Write a run into `folder` and return it; None as an end: the investigation is unfinished."""
    folder.mkdir(parents=True)
    write_manifest(folder, a_manifest(folder.name, models, phases, replicates))
    cases = plan(models=models, phases=phases, replicates=replicates, seed=0)
    encoder = msgspec.json.Encoder()
    with (folder / "events.jsonl").open("wb") as file:
        for event in _run(cases, talk, ends):
            file.write(encoder.encode(event) + b"\n")
    return folder


def a_manifest(
    name: str, models: Sequence[str], phases: Sequence[str], replicates: int
) -> Manifest:
    return Manifest(
        run=name,
        started=1_700_000_000.0,
        seed=0,
        replicates=replicates,
        concurrency=8,
        serving="endpoint",
        arms=tuple(_arm(model) for model in models),
        phases=get_phases(tuple(phases), ()),
        capabilities=("architecture", "weights", "memory"),
        sandbox=SandboxFacts(tier="sealed", walls=("seccomp",), limits={"wall_s": 30.0}),
        versions={"python": "3.11"},
        git_revision=None,
        machine={"system": "Linux", "n_cores": 2},
    )


def _arm(model: str) -> Arm:
    return Arm(
        model=model,
        url="http://127.0.0.1:1/v1",
        served_model=model,
        key_variable="OPENAI_API_KEY",
        checkpoint=None,
        checkpoint_fingerprint=None,
        max_model_len=8192,
        requests_per_s=None,
    )


def _run(
    cases: Sequence[Investigation],
    talk: Talk,
    ends: Callable[[Investigation], StopReason | None],
) -> Iterator[AnyEvent]:
    yield RunStarted(time=0.0, investigations=len(cases))
    for case in cases:
        yield from _investigation(case, talk(case), ends(case))
    yield RunEnded(time=100.0)


def _investigation(
    case: Investigation, said: Sequence[Said], end: StopReason | None
) -> Iterator[AnyEvent]:
    (phase,) = get_phases((case.phase,), ())
    name = phase.experiments[0].name
    opening = (Message("system", phase.texts.system), Message("user", phase.experiments[0].prompt))
    yield InvestigationStarted(
        time=1.0,
        investigation=case.id,
        model=case.model,
        phase=case.phase,
        replicate=case.replicate,
        seed=case.seed,
    )
    yield ExperimentStarted(time=1.0, investigation=case.id, experiment=name, messages=opening)
    for turn, each in enumerate(said):
        yield from _turn(case, name, turn, each)
    if end:
        yield ExperimentEnded(time=9.0, investigation=case.id, experiment=name, stop_reason=end)
        yield InvestigationEnded(time=9.0, investigation=case.id, stop_reason=end)


def _turn(case: Investigation, experiment: str, turn: int, said: Said) -> Iterator[AnyEvent]:
    yield CompletionReceived(
        time=2.0 + turn,
        investigation=case.id,
        experiment=experiment,
        turn=turn,
        seed=turn,
        completion=Completion(
            text=said.reply,
            finish_reason="stop",
            usage=Usage(prompt_tokens=500 + 100 * turn, completion_tokens=100, cached_tokens=400),
            sent=2.0 + turn,
            received=2.5 + turn,
        ),
    )
    done = Execution(
        code=said.code or "", output=said.output, error=said.error, calls=said.calls, duration_s=0.1
    )
    yield TurnEnded(
        time=2.6 + turn,
        investigation=case.id,
        turn=turn,
        action="run_code" if said.code else "stop",
        executions=(done,) if said.code else (),
        observation=f"Output:\n{said.output}" if said.code else None,
    )


def plausible(n_turns: int) -> Talk:
    """Talk as long and as varied as that of real models: passages of this project's own files."""

    def talk(case: Investigation) -> list[Said]:
        chance = random.Random(case.id)  # noqa: S311 - texts, not secrets
        return [_plausible(chance) for _ in range(n_turns)]

    return talk


def _plausible(chance: random.Random) -> Said:
    prose = _passage(chance, _corpus("*.md"), chance.randint(200, 900))
    code = _passage(chance, _corpus("*.py"), chance.randint(150, 700))
    figures = " ".join(f"{chance.gauss(0, 1):.4f}" for _ in range(chance.randint(4, 40)))
    printed = f"{_passage(chance, _corpus('*.py'), chance.randint(40, 400))}\n{figures}\n"
    fails = chance.random() < 0.2
    return Said(
        reply=f"{prose}\n\n```python\n{code}\n```",
        code=code,
        output=printed,
        error=ExecutionError("KeyError", "'x'") if fails else None,
    )


def _passage(chance: random.Random, corpus: str, n_chars: int) -> str:
    start = chance.randrange(len(corpus) - n_chars)
    return corpus[start : start + n_chars].replace("```", "")


@cache
def _corpus(pattern: str) -> str:
    folders = ("engine", "servers", "phases", "scripts")
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob(pattern))
    return "\n".join(path.read_text(encoding="utf-8") for path in [*paths, ROOT / "README.md"])
