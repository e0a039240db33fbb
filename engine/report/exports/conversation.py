"""A transcript as the messages of a conversation with one tool, `python`. Pure."""

from collections.abc import Iterator

import msgspec

from engine.transcript import Execution, Role, Transcript, Turn

TOOL = "python"
"""Name of the tool that executes code blocks."""


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """One code block that was executed."""

    id: str
    execution: Execution


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One message, and for a reply the turn that it began."""

    role: Role
    text: str
    turn: Turn | None = None
    uses: tuple[ToolUse, ...] = ()


def conversation(transcript: Transcript) -> Iterator[Said]:
    """Yield the messages in their order; a reply carries the blocks that it had executed."""
    turns = iter(transcript.turns)
    for message in transcript.messages:
        if message.role == "assistant":
            turn = next(turns, None)
            uses = tuple(uses_of(turn)) if turn else ()
            yield Said(role="assistant", text=message.content, turn=turn, uses=uses)
        else:
            yield Said(role=message.role, text=message.content)


def uses_of(turn: Turn) -> Iterator[ToolUse]:
    """Yield the executed blocks of a turn under ids that are unique in the investigation."""
    for place, execution in enumerate(turn.executions):
        yield ToolUse(id=f"turn{turn.index}_block{place}", execution=execution)
