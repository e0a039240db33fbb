"""A chat backend that plays the model: the policy that the tiny models learn."""

import random
import time
from collections.abc import Callable, Iterator

from engine.chat import ChatRequest
from engine.transcript import Completion, Usage
from scripts.tiny.episodes import Course, Investigator, Reply

_COURSES: dict[str, Callable[[Investigator], Course]] = {
    "architecture": Investigator.architecture,
    "activations": Investigator.processing,
    "conclusions": Investigator.conclusions,
}


class Teacher:
    """Investigates by a plan drawn from a seed; one per investigation."""

    def __init__(self, experiments: Iterator[str], seed: int) -> None:
        """Follow the experiments named, in order."""
        self._experiments = experiments
        self._investigator = Investigator(random.Random(seed))  # noqa: S311 - drawn from a seed to be repeatable
        self._course: Course | None = None
        self.replies: list[Reply] = []

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the next reply of the plan."""
        reply = self._next(request.conversation.messages[-1].content)
        self.replies.append(reply)
        now = time.time()
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            usage=Usage(),
            sent=now,
            received=now,
        )

    def _next(self, observation: str) -> Reply:
        if self._course is not None:
            try:
                return self._course.send(observation)
            except StopIteration:
                self._course = None
        self._course = _COURSES[next(self._experiments)](self._investigator)
        return next(self._course)
