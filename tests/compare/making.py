"""Transcripts made by hand, for tests of what is counted in them and of how arms are compared."""

from collections.abc import Iterable, Sequence

from engine.compare.cases import Case
from engine.compare.measures import measure
from engine.compare.turns import counts_of
from engine.purity import Leak
from engine.transcript import (
    Call,
    Completion,
    Execution,
    ExecutionError,
    Investigation,
    StopReason,
    Transcript,
    Turn,
    Usage,
)

FINE = Execution(code="print(1)", output="1\n", duration_s=0.5)


def fine(*methods: str, code: str = "print(1)") -> Execution:
    """A block that runs to its end and calls these introspection functions."""
    calls = tuple(Call(method=method, arguments={}) for method in methods)
    return Execution(code=code, output="1\n", calls=calls, duration_s=0.5)


def failed(kind: str = "NameError", message: str = "name 'x' is not defined") -> Execution:
    return Execution(
        code="x", output=f"{kind}: {message}\n", error=ExecutionError(kind, message), duration_s=0.5
    )


def turn(
    *executions: Execution,
    text: str | None = None,
    finish_reason: str = "stop",
    usage: Usage | None = None,
    experiment: str = "architecture",
    model_s: float = 2.0,
) -> Turn:
    completion = Completion(
        text=text or "",
        finish_reason=finish_reason,
        usage=usage or Usage(prompt_tokens=100, completion_tokens=20, cached_tokens=60),
        sent=10.0,
        received=10.0 + model_s,
    )
    return Turn(
        index=0,
        experiment=experiment,
        seed=1,
        completion=completion,
        action="run_code" if executions else "nothing",
        executions=executions,
    )


def transcript(
    turns: Sequence[Turn],
    *,
    arm: str = "a",
    phase: str = "comparison",
    replicate: int = 0,
    stop_reason: StopReason | None = StopReason.COMPLETED,
) -> Transcript:
    """One investigation; turns without a text of their own each say something else."""
    said = [
        Turn(
            index=place,
            experiment=each.experiment,
            seed=each.seed,
            completion=each.completion if each.completion.text else _saying(each, f"step {place}"),
            action=each.action,
            executions=each.executions,
        )
        for place, each in enumerate(turns)
    ]
    return Transcript(
        investigation=Investigation(
            id=f"{arm}.{phase}.{replicate}",
            model=arm,
            phase=phase,
            replicate=replicate,
            seed=replicate,
        ),
        started=0.0,
        ended=100.0,
        stop_reason=stop_reason,
        experiments=tuple(
            (name, stop_reason) for name in dict.fromkeys(each.experiment for each in turns)
        ),
        turns=tuple(said),
    )


def _saying(one: Turn, text: str) -> Completion:
    given = one.completion
    return Completion(
        text=text,
        finish_reason=given.finish_reason,
        usage=given.usage,
        sent=given.sent,
        received=given.received,
    )


def case(made: Transcript, *, leaks: Iterable[Leak] = (), granted: int | None = 10) -> Case:
    counts = counts_of(made)
    return Case(made, counts, measure(made, tuple(leaks), granted, counts))
