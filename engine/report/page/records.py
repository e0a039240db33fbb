"""Transcripts as the report's script reads them: what a person looks at, turn by turn. Pure.

Every text that came from a model or a server stays a string of JSON until the script puts it into
a text node: it is never markup.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from engine.transcript import Call, Execution, Message, Transcript, Turn

MOST_CHARS = 8_000
"""Characters of one text that are shown; the middle of a longer one is left out."""
_ARGUMENT_CHARS = 80
Redact = Callable[[str], str]


class Block(msgspec.Struct, frozen=True, omit_defaults=True):
    """One executed block."""

    code: str
    output: str
    error: str = ""
    """Kind of what was raised."""
    seconds: float = 0.0
    calls: tuple[str, ...] = ()
    """Introspection calls, as they would be written."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn."""

    turn: int
    experiment: int
    """Place of its experiment."""
    reply: str
    own: int = -1
    """Characters that the conversation kept; -1: all."""
    action: str = ""
    finish: str = ""
    prompts: tuple[tuple[str, str], ...] = ()
    """(role, text) of what was sent before it and is no observation."""
    blocks: tuple[Block, ...] = ()
    observation: str = ""
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


def record_of(transcript: Transcript, redact: Redact) -> Record:
    """Return `transcript` for the report, every text passed through `redact`."""
    names = [name for name, _ in transcript.experiments]
    shown = _Texts(redact)
    steps = [
        _step(turn, names.index(turn.experiment), sent, shown)
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
    prompts: tuple[Message, ...]
    reply: str | None
    """The model's own part of the reply; None: the conversation does not have it."""


class _Texts(NamedTuple):
    redact: Redact

    def of(self, text: str) -> str:
        return shorten(self.redact(text))


def _with_what_was_sent(transcript: Transcript) -> Iterator[tuple[Turn, _Sent]]:
    messages = iter(transcript.messages)
    observed: str | None = None
    for turn in transcript.turns:
        prompts: list[Message] = []
        reply: str | None = None
        for message in messages:
            if message.role == "assistant":
                reply = message.content
                break
            if message.content != observed:
                prompts.append(message)
        yield turn, _Sent(tuple(prompts), reply)
        observed = turn.observation


def _step(turn: Turn, experiment: int, sent: _Sent, shown: _Texts) -> Step:
    said, usage = turn.completion, turn.completion.usage
    is_cut = sent.reply is not None and len(sent.reply) < len(said.text)
    own = said.text[: len(sent.reply or "")] if is_cut else said.text
    return Step(
        turn=turn.index,
        experiment=experiment,
        reply=shown.of(said.text),
        own=len(shown.redact(own)) if is_cut else -1,
        action=turn.action,
        finish="" if said.finish_reason == "stop" else said.finish_reason,
        prompts=tuple((message.role, shown.of(message.content)) for message in sent.prompts),
        blocks=tuple(_block(execution, shown) for execution in turn.executions),
        observation=shown.of(turn.observation or ""),
        read=usage.prompt_tokens,
        cached=usage.cached_tokens,
        written=usage.completion_tokens,
        seconds=round(said.received - said.sent, 2),
    )


def _block(execution: Execution, shown: _Texts) -> Block:
    return Block(
        code=shown.of(execution.code),
        output=shown.of(execution.output),
        error=execution.error.kind if execution.error else "",
        seconds=round(execution.duration_s, 3),
        calls=tuple(shown.of(_call(call)) for call in execution.calls),
    )


def _call(call: Call) -> str:
    given = ", ".join(f"{name}={_short(value)}" for name, value in call.arguments.items())
    return f"{call.method}({given})" + (f" -> {call.error.kind}" if call.error else "")


def _short(value: object) -> str:
    text = repr(value)
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
