"""Transcripts as the report's script reads them: what a person looks at, turn by turn. Pure.

Every text that came from a model or a server stays a string of JSON until the script puts it into
a text node: it is never markup.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from engine.compare.told import Told, told_in
from engine.report.page.marks import GROUNDED, Mark
from engine.transcript import Call, Execution, Transcript, Turn

MOST_CHARS = 8_000
"""Characters of one text that are shown; the middle of a longer one is left out."""
_ARGUMENT_CHARS = 80
_FRAME_CHARS = 16
"""What an observation has around an output alone: "Output:" and line ends."""
Redact = Callable[[str], str]


class Block(msgspec.Struct, frozen=True, omit_defaults=True):
    """One executed block."""

    output: str
    code: str = ""
    """Empty where it stands in the reply."""
    error: str = ""
    """Kind of what was raised."""
    seconds: float = 0.0
    calls: tuple[str, ...] = ()
    """Introspection calls, as they would be written."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn."""

    turn: int
    reply: str
    experiment: int = 0
    """Place of its experiment."""
    own: int = -1
    """Characters that the conversation kept; -1: all."""
    action: str = ""
    finish: str = ""
    prompts: tuple[tuple[str, str], ...] = ()
    """(role, text) of what was sent before it and is no observation."""
    blocks: tuple[Block, ...] = ()
    observation: str = ""
    """Empty where it is the output and nothing else."""
    marks: tuple[tuple[str, str], ...] = ()
    """(kind, text) of the remarks on it, see `engine.report.page.marks`."""
    grounded: int = 0
    """Claims in it that are as recorded: claims.json has them one by one."""
    read: int = 0
    """Tokens of the request; `cached` of them from the prefix cache."""
    cached: int = 0
    written: int = 0
    seconds: float = 0.0


class Stage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One experiment of a transcript."""

    name: str
    ended: str = ""
    """Its stop reason; empty: it did not end."""
    lacks: str = ""
    """What it required and did not get."""


class Record(msgspec.Struct, frozen=True):
    """One transcript."""

    stages: tuple[Stage, ...]
    steps: tuple[Step, ...]


def record_of(transcript: Transcript, marks: Iterable[Mark], redact: Redact) -> Record:
    """Return `transcript` with its `marks` for the report, every text passed through `redact`."""
    names = [name for name, _ in transcript.experiments]
    noted: dict[int, list[tuple[str, str]]] = {}
    grounded = Counter[int]()
    for mark in marks:
        if mark.kind == GROUNDED:
            grounded[mark.turn] += 1
        else:
            noted.setdefault(mark.turn, []).append((mark.kind, redact(mark.text)))
    steps = [
        msgspec.structs.replace(
            _step(turn, sent, _Texts(redact)),
            experiment=names.index(turn.experiment),
            marks=tuple(noted.get(turn.index, ())),
            grounded=grounded[turn.index],
        )
        for turn, sent in _with_what_was_sent(transcript)
    ]
    return Record(tuple(_stages(transcript)), tuple(steps))


def shorten(text: str) -> str:
    """Return `text`, or its beginning and end when it has more than `MOST_CHARS`."""
    if len(text) <= MOST_CHARS:
        return text
    half = MOST_CHARS // 2
    notice = f"\n[... {len(text) - 2 * half:,} characters left out of this page ...]\n"
    return text[:half] + notice + text[-half:]


class _Sent(NamedTuple):
    prompts: tuple[Told, ...]
    reply: str | None
    """The model's own part of the reply; None: the conversation does not have it."""


class _Texts(NamedTuple):
    redact: Redact

    def of(self, text: str) -> str:
        return shorten(self.redact(text))


def _with_what_was_sent(transcript: Transcript) -> Iterator[tuple[Turn, _Sent]]:
    told = [*told_in(transcript)]
    replies = [each.content for each in transcript.messages if each.role == "assistant"]
    for place, turn in enumerate(transcript.turns):
        prompts = tuple(each for each in told if each.turn == turn.index)
        yield turn, _Sent(prompts, replies[place] if place < len(replies) else None)


def _step(turn: Turn, sent: _Sent, shown: _Texts) -> Step:
    said, usage = turn.completion, turn.completion.usage
    is_cut = sent.reply is not None and len(sent.reply) < len(said.text)
    own = said.text[: len(sent.reply or "")] if is_cut else said.text
    return Step(
        turn=turn.index,
        reply=shown.of(said.text),
        own=len(shown.redact(own)) if is_cut else -1,
        action=turn.action,
        finish="" if said.finish_reason == "stop" else said.finish_reason,
        prompts=tuple((told.role, shown.of(told.text)) for told in sent.prompts),
        blocks=tuple(_block(execution, said.text, shown) for execution in turn.executions),
        observation=shown.of(_beyond_output(turn)),
        read=usage.prompt_tokens,
        cached=usage.cached_tokens,
        written=usage.completion_tokens,
        seconds=round(said.received - said.sent, 2),
    )


def _beyond_output(turn: Turn) -> str:
    """Return the observation if it says more than what the only block printed."""
    said = turn.observation or ""
    printed = [execution.output.strip() for execution in turn.executions]
    is_output = len(printed) == 1 and printed[0] in said
    return "" if is_output and len(said) - len(printed[0]) <= _FRAME_CHARS else said


def _block(execution: Execution, reply: str, shown: _Texts) -> Block:
    is_written = execution.code.strip() in reply
    return Block(
        code="" if is_written else shown.of(execution.code),
        output=shown.of(execution.output),
        error=execution.error.kind if execution.error else "",
        seconds=round(execution.duration_s, 3),
        calls=tuple(shown.of(_call(call, shown.redact)) for call in execution.calls),
    )


def _call(call: Call, redact: Redact) -> str:
    """Return a call with short arguments: a key that is cut is not known any more."""
    written = ((name, redact(repr(value))) for name, value in call.arguments.items())
    given = ", ".join(f"{name}={_short(text)}" for name, text in written)
    return f"{call.method}({given})" + (f" -> {call.error.kind}" if call.error else "")


def _short(text: str) -> str:
    return text if len(text) <= _ARGUMENT_CHARS else text[: _ARGUMENT_CHARS - 1] + "…"


def _stages(transcript: Transcript) -> Iterator[Stage]:
    checks = {check.experiment: check for check in transcript.requirements}
    for name, reason in transcript.experiments:
        check = checks.get(name)
        lacks: Sequence[str] = ()
        if check and not check.is_met:
            lacks = (
                f"{check.code_blocks} of {check.min_code_blocks} code blocks",
                f"{check.findings} of {check.min_findings} findings",
            )
        yield Stage(name, reason or "", ", ".join(lacks))
