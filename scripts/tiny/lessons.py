"""Events of a played investigation -> conversations, and which messages of them are taught."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.events import (
    Compacted,
    CompletionReceived,
    Event,
    ExperimentEnded,
    ExperimentStarted,
    TurnEnded,
)
from engine.transcript import Message
from scripts.tiny.encoding import Taught
from scripts.tiny.teacher import Teacher


@dataclass(frozen=True)
class Played:
    """One investigation, as the conversations that it was: a new one after each summary."""

    conversations: Sequence[Sequence[Taught]]
    ends: Sequence[str]
    """Why its experiments ended."""


def played(events: Sequence[Event], teacher: Teacher) -> Played:
    """Return what `teacher` said in `events`, and to what."""
    lesson = _Lesson(teacher)
    for event in events:
        lesson.take(event)
    return Played([*lesson.before, lesson.messages], lesson.ends)


class _Lesson:
    def __init__(self, teacher: Teacher) -> None:
        self.before: list[list[Taught]] = []
        self.messages: list[Taught] = []
        self.ends: list[str] = []
        self._replies = iter(teacher.replies)
        self._questions = iter(teacher.questions)
        self._observed: str | None = None

    def take(self, event: Event) -> None:
        match event:
            case ExperimentStarted():
                self._hear(event.messages)
                self._observed = None  # what ended the experiment before stands in the prompt
            case CompletionReceived():
                if self._observed is not None:
                    self._hear([Message("user", self._observed)])
                reply = Message("assistant", event.completion.text)
                self.messages.append(Taught(reply, is_taught=next(self._replies).is_taught))
            case Compacted():
                self._summarise(event)
            case TurnEnded():
                self._observed = event.observation
            case ExperimentEnded():
                self.ends.append(event.stop_reason)
            case _:
                pass

    def _hear(self, messages: Sequence[Message]) -> None:
        self.messages += [Taught(message, is_taught=False) for message in messages]

    def _summarise(self, event: Compacted) -> None:
        """End this conversation with the summary; the next begins with what was kept."""
        if self._observed is None:  # the question stands in the message that was last
            self.messages.pop()
        self._hear([next(self._questions)])
        summary = Message("assistant", event.completion.text)
        self.messages.append(Taught(summary, is_taught=True))
        self.before.append(self.messages)
        self.messages, self._observed = [], None
        self._hear(event.messages)
