"""What is counted in transcripts. Every figure is a count over recorded facts, never over words."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from engine.purity import Leak
from engine.requirements import n_findings
from engine.transcript import RequirementCheck, Transcript, Turn


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one investigation."""

    investigation: str
    model: str
    phase: str
    replicate: int
    seed: int
    turns: int
    inherited_turns: int
    """Of them, those that it has from the investigation that it branched off: paid for once."""
    inherited_tokens: int
    """Tokens read and written in them."""
    code_blocks_executed: int
    execution_errors: int
    """Executions that raised, timed out or lost their process."""
    execution_error_kinds: dict[str, int]
    introspection_calls: int
    findings: int
    """Findings stored: recorded calls that succeeded, not words that claim one."""
    requirements: tuple[RequirementCheck, ...]
    """What experiments required, beside what there was of it; none for most phases."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    model_s: float
    """Seconds between the sending of requests and their replies, summed."""
    execution_s: float
    duration_s: float
    stop_reason: str | None
    revivals: tuple[str, ...]
    """"exact" or "diverged", once for each time it was taken up again after an interruption."""
    leaks: tuple[Leak, ...]
    """What it could see and must not know: with any, it stays out of statistics."""
    is_infrastructure: bool
    """The end was not the model's doing: the investigation stays out of statistics."""
    detail: str

    @property
    def is_pure(self) -> bool:
        """It saw nothing that its condition hides."""
        return not self.leaks


def measure(transcript: Transcript, leaks: Sequence[Leak] = ()) -> Measures:
    """Return the counts of one investigation; `leaks`: what it could see and must not know."""
    case, turns = transcript.investigation, transcript.turns
    executions = [execution for turn in turns for execution in turn.executions]
    kinds = Counter(execution.error.kind for execution in executions if execution.error)
    reason = transcript.stop_reason
    inherited = turns[: transcript.origin.n_turns] if transcript.origin else ()
    return Measures(
        investigation=case.id,
        model=case.model,
        phase=case.phase,
        replicate=case.replicate,
        seed=case.seed,
        turns=len(turns),
        inherited_turns=len(inherited),
        inherited_tokens=sum(_tokens(turn) for turn in inherited),
        code_blocks_executed=len(executions),
        execution_errors=kinds.total(),
        execution_error_kinds=dict(sorted(kinds.items())),
        introspection_calls=sum(len(execution.calls) for execution in executions),
        findings=n_findings(executions),
        requirements=transcript.requirements,
        prompt_tokens=sum(turn.completion.usage.prompt_tokens for turn in turns),
        completion_tokens=sum(turn.completion.usage.completion_tokens for turn in turns),
        cached_tokens=sum(turn.completion.usage.cached_tokens for turn in turns),
        model_s=round(sum(_waited_s(turn) for turn in turns), 6),
        execution_s=round(sum(execution.duration_s for execution in executions), 6),
        duration_s=round((transcript.ended or transcript.started) - transcript.started, 6),
        stop_reason=reason,
        revivals=transcript.revivals,
        leaks=tuple(leaks),
        is_infrastructure=reason is None or reason.is_infrastructure,
        detail=transcript.detail,
    )


def _tokens(turn: Turn) -> int:
    return turn.completion.usage.prompt_tokens + turn.completion.usage.completion_tokens


def _waited_s(turn: Turn) -> float:
    return turn.completion.received - turn.completion.sent


class ArmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of all investigations of one model; what is left out is counted."""

    model: str
    investigations: int
    excluded: int
    """Investigations that infrastructure ended; they are in none of the other figures."""
    impure: int
    """Others that saw what their condition hides; they are in none of the other figures either."""
    resumed: int
    """Investigations that were taken up again after an interruption."""
    diverged: int
    """Of them, those whose namespace did not come back as it was."""
    turns: int
    inherited_turns: int
    inherited_tokens: int
    code_blocks_executed: int
    execution_errors: int
    findings: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    model_s: float
    execution_s: float
    stop_reasons: dict[str, int]


def summarise(model: str, measures: Sequence[Measures]) -> ArmSummary:
    """Return the totals of `model` over its `measures`."""
    ended = [item for item in measures if not item.is_infrastructure]
    kept = [item for item in ended if item.is_pure]
    reasons = Counter(item.stop_reason or "unfinished" for item in measures)
    return ArmSummary(
        model=model,
        investigations=len(measures),
        excluded=len(measures) - len(ended),
        impure=len(ended) - len(kept),
        resumed=sum(bool(item.revivals) for item in kept),
        diverged=sum("diverged" in item.revivals for item in kept),
        turns=sum(item.turns for item in kept),
        inherited_turns=sum(item.inherited_turns for item in kept),
        inherited_tokens=sum(item.inherited_tokens for item in kept),
        code_blocks_executed=sum(item.code_blocks_executed for item in kept),
        execution_errors=sum(item.execution_errors for item in kept),
        findings=sum(item.findings for item in kept),
        prompt_tokens=sum(item.prompt_tokens for item in kept),
        completion_tokens=sum(item.completion_tokens for item in kept),
        cached_tokens=sum(item.cached_tokens for item in kept),
        model_s=round(sum(item.model_s for item in kept), 3),
        execution_s=round(sum(item.execution_s for item in kept), 3),
        stop_reasons=dict(sorted(reasons.items())),
    )
