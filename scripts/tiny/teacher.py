"""A chat backend that plays the model: the policy that the tiny models learn."""

import random
import time

from engine.chat import ChatRequest
from engine.phase import Phase
from engine.transcript import Completion, Message, Usage
from scripts.tiny.courses import course_of, summary_of
from scripts.tiny.episodes import Course, Investigator, Reply

_CHARS_PER_TOKEN = 3.2
"""Of transcripts in the tokens of the tiny models, about."""


class Teacher:
    """Investigates by a plan drawn from a seed; one per investigation."""

    def __init__(self, phase: Phase, seed: int) -> None:
        """Follow the experiments of `phase`, in order."""
        self._phase = phase
        self._experiments = iter(phase.experiments)
        self._investigator = Investigator(random.Random(seed))  # noqa: S311 - drawn from a seed to be repeatable
        self._course: Course | None = None
        self.replies: list[Reply] = []
        self.questions: list[Message] = []
        """What asked for a summary, each time."""

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the next reply of the plan, or a summary where one is asked for."""
        messages = request.conversation.messages
        if request.temperature == self._phase.compaction.temperature:
            self.questions.append(messages[-1])
            reply = summary_of(self._investigator)
        else:
            reply = self._next(messages[-1].content)
            self.replies.append(reply)
        n_chars = sum(len(message.content) for message in messages)
        now = time.time()
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            usage=Usage(
                prompt_tokens=int(n_chars / _CHARS_PER_TOKEN),
                completion_tokens=int(len(reply.text) / _CHARS_PER_TOKEN),
            ),
            sent=now,
            received=now,
        )

    def _next(self, observation: str) -> Reply:
        if self._course is not None:
            try:
                return self._course.send(observation)
            except StopIteration:
                self._course = None
        experiment = next(self._experiments)
        granted = experiment.has_code and self._phase.has_heritage(experiment.name)
        self._course = course_of(experiment.name, self._investigator, has_documents=granted)
        return next(self._course)
