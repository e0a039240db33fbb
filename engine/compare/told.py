"""What an investigation was told, as it was sent: its prompts, and the words on documents. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from engine.transcript import Role, Transcript, Turn


class Told(NamedTuple):
    """What one message says beside an observation."""

    turn: int
    """Index of the turn that it came before."""
    role: Role
    text: str


def told_in(transcript: Transcript) -> Iterator[Told]:
    """Yield what opens the investigation and its experiments.

    The last observation of an experiment stands before the prompt of the next one: it is left out.
    """
    turns, last = iter(transcript.turns), None
    for message in transcript.messages:
        if message.role == "assistant":
            last = next(turns, None)
        elif text := message.content.removeprefix(_shown_by(last)).lstrip("\n"):
            yield Told(last.index + 1 if last else 0, message.role, text)


def _shown_by(turn: Turn | None) -> str:
    return (turn and turn.observation) or ""
