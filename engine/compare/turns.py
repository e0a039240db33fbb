"""What is counted in one turn. Every figure is a count over recorded facts, never over words. Pure.

Totals of an investigation and its behaviour turn by turn are sums of the same counts.
"""

import ast
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from engine.compare.causes import is_of_harness
from engine.repetition import n_repeats, runs_in_circles
from engine.requirements import n_findings
from engine.transcript import Call, Execution, Transcript, Turn

_READS = frozenset(
    {
        "memory.query_observations",
        "memory.query_patterns",
        "memory.query_theories",
        "memory.query_beliefs",
        "memory.get_memory_summary",
        "memory.list_categories",
    }
)
"""The calls that read findings."""


class TurnCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one turn."""

    code_blocks: int
    """Executed."""
    errors: int
    """Executions that raised, timed out or lost their process."""
    harness_errors: int
    """Of them, those that the harness caused, see `engine.compare.causes`."""
    calls: int
    """Introspection calls, refused ones included."""
    failed_calls: int
    functions: frozenset[str]
    """Introspection functions that answered."""
    help_blocks: int
    """Executed blocks that call help() or dir()."""
    findings_written: int
    findings_read: int
    """Calls that read findings and succeeded."""
    is_repeat: bool
    """It repeats what was done before it in the experiment, or its reply goes round in circles."""
    is_silent: bool
    """Nothing was executed."""
    is_cut: bool
    """The reply ended at the limit of tokens."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    model_s: float
    """Seconds between the sending of the request and the reply."""
    execution_s: float

    @property
    def has_token_counts(self) -> bool:
        """The server told how many tokens it read."""
        return self.prompt_tokens > 0


def counts_of(transcript: Transcript) -> tuple[TurnCounts, ...]:
    """Return the counts of each turn, those that it has from another run included."""
    found: list[TurnCounts] = []
    done: list[object] = []
    before = None
    for turn in transcript.turns:
        if turn.experiment != before:
            done, before = [], turn.experiment
        done.append((turn.completion.text, tuple(each.output for each in turn.executions)))
        found.append(_counts(turn, is_repeat=n_repeats(done) > 0))
    return tuple(found)


def _counts(turn: Turn, *, is_repeat: bool) -> TurnCounts:
    executions, completion = turn.executions, turn.completion
    calls = [call for execution in executions for call in execution.calls]
    answered = [call for call in calls if call.error is None]
    return TurnCounts(
        code_blocks=len(executions),
        errors=sum(execution.error is not None for execution in executions),
        harness_errors=sum(map(is_of_harness, executions)),
        calls=len(calls),
        failed_calls=len(calls) - len(answered),
        functions=frozenset(call.method for call in answered),
        help_blocks=sum(calls_help(execution.code) for execution in executions),
        findings_written=n_findings(executions),
        findings_read=_n_reads(answered),
        is_repeat=is_repeat or runs_in_circles(completion.text),
        is_silent=not executions,
        is_cut=completion.finish_reason == "length",
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        cached_tokens=completion.usage.cached_tokens,
        model_s=completion.received - completion.sent,
        execution_s=sum(execution.duration_s for execution in executions),
    )


def calls_help(code: str) -> bool:
    """Tell whether `code` calls help() or dir(); code that is no Python calls nothing."""
    if "help" not in code and "dir" not in code:
        return False
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"help", "dir"}
        for node in nodes
    )


class Repairs(msgspec.Struct, frozen=True, kw_only=True):
    """What came after failed executions."""

    failed: int = 0
    """Failed executions of the model's own doing or the harness's."""
    repaired: int = 0
    """Of them, those whose next execution in the same experiment ran to its end."""
    own_failed: int = 0
    """The same without those that the harness caused."""
    own_repaired: int = 0


def repairs_of(turns: Sequence[Turn]) -> Repairs:
    """Return how often an error is followed by code that runs."""
    found = Repairs()
    for experiment in dict.fromkeys(turn.experiment for turn in turns):
        ran = [each for turn in turns if turn.experiment == experiment for each in turn.executions]
        found = _with(found, ran)
    return found


def _with(found: Repairs, ran: Sequence[Execution]) -> Repairs:
    failed = [each for each in ran if each.error]
    repaired = [first for first, then in pairwise(ran) if first.error and not then.error]
    return Repairs(
        failed=found.failed + len(failed),
        repaired=found.repaired + len(repaired),
        own_failed=found.own_failed + _n_own(failed),
        own_repaired=found.own_repaired + _n_own(repaired),
    )


def _n_own(executions: Sequence[Execution]) -> int:
    return sum(not is_of_harness(each) for each in executions)


def _n_reads(calls: Sequence[Call]) -> int:
    return sum(call.method in _READS for call in calls)
