"""What is counted in transcripts. Every figure is a count over recorded facts, never over words.

But for `claims`, which sets the words of the model beside those facts.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from engine.compare.claims.counts import ClaimCounts
from engine.compare.own_turns import first_own_turn, own_turns
from engine.compare.turns import Repairs, TurnCounts, counts_of, repairs_of
from engine.purity import Leak
from engine.transcript import RequirementCheck, StopReason, Transcript, Turn

LIMITS = frozenset(
    {
        StopReason.TURN_LIMIT,
        StopReason.TOKEN_LIMIT,
        StopReason.TIME_LIMIT,
        StopReason.CONTEXT_FULL,
    }
)
"""Ends that a limit made: how far the model would have gone is not known."""


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one investigation."""

    investigation: str
    model: str
    phase: str
    replicate: int
    seed: int
    turns: int
    """Its own, see `engine.compare.own_turns`; so are all other counts."""
    inherited_turns: int
    """Those that it has from the investigation that it branched off: paid for once. They are among
    `turns` where that one is of the same run, and in no other figure where it is of another run."""
    inherited_tokens: int
    """Tokens read and written in them."""
    code_blocks_executed: int
    execution_errors: int
    """Executions that raised, timed out or lost their process."""
    execution_error_kinds: dict[str, int]
    harness_errors: int
    """Failed executions that the harness caused, see `engine.compare.causes`."""
    repairs: Repairs
    introspection_calls: int
    failed_calls: int
    functions_used: int
    """Introspection functions that answered at least once."""
    functions_granted: int | None
    """Those that there were to use; None: not known."""
    help_blocks: int
    """Executed blocks that call help() or dir()."""
    findings: int
    """Findings stored: recorded calls that succeeded, not words that claim one."""
    findings_read: int
    """Calls that read findings and succeeded."""
    repeated_turns: int
    """Turns that repeat what was done before them, or whose reply goes round in circles."""
    silent_turns: int
    """Turns in which nothing was executed."""
    cut_turns: int
    """Replies that ended at the limit of tokens."""
    requirements: tuple[RequirementCheck, ...]
    """What experiments required, beside what there was of it; none for most phases. Those of a fork
    in which it has turns of its own, what there was before these included."""
    claims: ClaimCounts = ClaimCounts()
    """What was claimed, beside what was recorded, see `engine.compare.claims`."""
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
    is_censored: bool
    """A limit ended an experiment of it: turns, tokens, time or window."""
    is_infrastructure: bool
    """The end was not the model's doing: the investigation stays out of statistics."""
    detail: str

    @property
    def is_cut_off(self) -> bool:
        """A limit ended it, not the model."""
        return self.stop_reason in LIMITS

    @property
    def has_token_counts(self) -> bool:
        """Its server told how many tokens it read; nothing else is known of one without a turn."""
        return not self.turns or self.prompt_tokens > 0

    @property
    def is_pure(self) -> bool:
        """It saw nothing that its condition hides."""
        return not self.leaks


def measure(
    transcript: Transcript,
    leaks: Sequence[Leak] = (),
    functions_granted: int | None = None,
    counts: Sequence[TurnCounts] | None = None,
    claims: ClaimCounts | None = None,
) -> Measures:
    """Return the counts of one investigation.

    `leaks`: what it could see and must not know; `functions_granted`: introspection functions that
    it could use; `counts` of all its turns and `claims`, where they are at hand.
    """
    case, reason = transcript.investigation, transcript.stop_reason
    every = counts_of(transcript) if counts is None else counts
    turns, own = every[first_own_turn(transcript) :], own_turns(transcript)
    errors = _error_kinds(own)
    return Measures(
        investigation=case.id,
        model=case.model,
        phase=case.phase,
        replicate=case.replicate,
        seed=case.seed,
        **_inherited(transcript, every),
        **_done(turns),
        **_idle(turns),
        **_tokens(turns),
        execution_errors=sum(errors.values()),
        execution_error_kinds=errors,
        repairs=repairs_of(own),
        functions_granted=functions_granted,
        requirements=_requirements(transcript),
        claims=claims or ClaimCounts(),
        model_s=round(sum(turn.model_s for turn in turns), 6),
        execution_s=round(sum(turn.execution_s for turn in turns), 6),
        duration_s=round((transcript.ended or transcript.started) - transcript.started, 6),
        stop_reason=reason,
        revivals=transcript.revivals,
        leaks=tuple(leaks),
        is_censored=any(end in LIMITS for end in (reason, *_ends(transcript))),
        is_infrastructure=reason is None or reason.is_infrastructure,
        detail=transcript.detail,
    )


_Counts = dict[str, int]
"""Fields of `Measures`, by name."""


def _inherited(transcript: Transcript, turns: Sequence[TurnCounts]) -> _Counts:
    shared = turns[: transcript.origin.n_turns] if transcript.origin else ()
    return {
        "inherited_turns": len(shared),
        "inherited_tokens": sum(turn.prompt_tokens + turn.completion_tokens for turn in shared),
    }


def _done(turns: Sequence[TurnCounts]) -> _Counts:
    return {
        "turns": len(turns),
        "code_blocks_executed": sum(turn.code_blocks for turn in turns),
        "harness_errors": sum(turn.harness_errors for turn in turns),
        "introspection_calls": sum(turn.calls for turn in turns),
        "failed_calls": sum(turn.failed_calls for turn in turns),
        "functions_used": len(_functions(turns)),
        "help_blocks": sum(turn.help_blocks for turn in turns),
        "findings": sum(turn.findings_written for turn in turns),
        "findings_read": sum(turn.findings_read for turn in turns),
    }


def _idle(turns: Sequence[TurnCounts]) -> _Counts:
    return {
        "repeated_turns": sum(turn.is_repeat for turn in turns),
        "silent_turns": sum(turn.is_silent for turn in turns),
        "cut_turns": sum(turn.is_cut for turn in turns),
    }


def _tokens(turns: Sequence[TurnCounts]) -> _Counts:
    return {
        "prompt_tokens": sum(turn.prompt_tokens for turn in turns),
        "completion_tokens": sum(turn.completion_tokens for turn in turns),
        "cached_tokens": sum(turn.cached_tokens for turn in turns),
    }


def _error_kinds(turns: Sequence[Turn]) -> dict[str, int]:
    """Return by kind how many executions failed."""
    errors = (each.error for turn in turns for each in turn.executions if each.error)
    return dict(sorted(Counter(error.kind for error in errors).items()))


def _functions(turns: Sequence[TurnCounts]) -> frozenset[str]:
    return frozenset[str]().union(*(turn.functions for turn in turns))


def _requirements(transcript: Transcript) -> tuple[RequirementCheck, ...]:
    foreign = _foreign(transcript)
    return tuple(check for check in transcript.requirements if check.experiment not in foreign)


def _ends(transcript: Transcript) -> list[StopReason | None]:
    foreign = _foreign(transcript)
    return [end for name, end in transcript.experiments if name not in foreign]


def _foreign(transcript: Transcript) -> frozenset[str]:
    """Return the experiments that were over before its first own turn."""
    before = transcript.turns[: first_own_turn(transcript)]
    own = {turn.experiment for turn in own_turns(transcript)}
    return frozenset(turn.experiment for turn in before) - own


class ArmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of all investigations of one model; what is left out is counted."""

    model: str
    investigations: int
    excluded: int
    """Investigations that infrastructure ended; they are in none of the other figures."""
    unfinished: int
    """Those that have no end yet; they are in none of the other figures either."""
    impure: int
    """Others that saw what their condition hides; nor are they."""
    resumed: int
    """Investigations that were taken up again after an interruption."""
    diverged: int
    """Of them, those whose namespace did not come back as it was."""
    turns: int
    inherited_turns: int
    """See `Measures`: among `turns`, but for a fork."""
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
    begun = [item for item in measures if item.stop_reason is None]
    ended = [item for item in measures if not item.is_infrastructure]
    kept = [item for item in ended if item.is_pure]
    reasons = Counter(item.stop_reason or "unfinished" for item in measures)
    return ArmSummary(
        model=model,
        investigations=len(measures),
        excluded=len(measures) - len(ended) - len(begun),
        unfinished=len(begun),
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
