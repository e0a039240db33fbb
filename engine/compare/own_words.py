"""What a model said itself, turn by turn: the prose of its replies and its findings. Pure."""

from collections.abc import Iterator

from engine.compare.claims.prose import prose_of
from engine.requirements import FINDING_CALL
from engine.transcript import Call, Transcript, Turn

_DOCUMENTS = "heritage."


def replies_of(transcript: Transcript) -> Iterator[tuple[Turn, str]]:
    """Yield each turn with the prose of its reply: the model's own part, without code."""
    own = [each.content for each in transcript.messages if each.role == "assistant"]
    is_whole = len(own) == len(transcript.turns)
    for number, turn in enumerate(transcript.turns):
        yield turn, prose_of(own[number] if is_whole else turn.completion.text).text


def findings_in(turn: Turn) -> list[str]:
    """Return the descriptions that a turn stored."""
    return [
        str(call.arguments.get("description", ""))
        for call in calls_in(turn)
        if call.method == FINDING_CALL and call.error is None
    ]


def calls_in(turn: Turn) -> Iterator[Call]:
    """Yield the calls of a turn."""
    return (call for execution in turn.executions for call in execution.calls)


def has_read(turn: Turn) -> bool:
    """Tell whether a turn was shown anything of the documents."""
    return any(call.method.startswith(_DOCUMENTS) and not call.error for call in calls_in(turn))
