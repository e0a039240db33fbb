"""Questions that wait at the same time, answered together: one forward pass for each text."""

import traceback
from collections.abc import Iterator, Mapping, Sequence

from engine.errors import CapabilityError
from engine.introspection.probe import Question
from engine.introspection.safetensors import Floats
from servers.probe.program.seen import Runs, Seen
from servers.probe.wire import Numbered, Refusal, Reply

Answered = tuple[Reply, Mapping[str, Floats]]

_OF_ONE_PASS = frozenset({"tokens", "outputs", "attention"})
"""Operations that one forward pass over the text answers, whichever layers are asked for."""


class Answering:
    """Answers about one network, within bounds."""

    def __init__(self, network: Runs, *, max_tokens: int, max_bytes: int) -> None:
        """Take texts of at most `max_tokens`, and give arrays of `max_bytes` per reply."""
        self._network = network
        self._max_tokens = max_tokens
        self._max_bytes = max_bytes

    def answer(self, questions: Sequence[Numbered]) -> Iterator[Answered]:
        """Yield one answer per question, those about the same text from the same pass.

        A pass over a text does the same whatever else is asked: nobody's figures depend on who
        asked at the same time, and a question that fails takes no other with it.
        """
        by_text: dict[str, list[Numbered]] = {}
        for each in questions:
            if each.question.operation in _OF_ONE_PASS:
                by_text.setdefault(each.question.text, []).append(each)
            else:
                yield self._alone(each)
        for group in by_text.values():
            yield from self._of_one_pass(group)

    def _of_one_pass(self, group: Sequence[Numbered]) -> Iterator[Answered]:
        try:
            found = self._seen([each.question for each in group])
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            if len(group) == 1:
                yield _unanswered(group[0], error)
                return
            for each in group:
                yield from self._of_one_pass([each])
            return
        for each in group:
            yield Reply(id=each.id, plain=found.plain), _picked(found, each.question)

    def _seen(self, asked: Sequence[Question]) -> Seen:
        ids = self._ids(asked[0].text)
        layers = tuple(dict.fromkeys(name for each in asked for name in each.layers))
        places = tuple(sorted({place for each in asked for place in each.places}))
        return self._network.look(ids, layers, places, max_bytes=self._max_bytes)

    def _alone(self, numbered: Numbered) -> Answered:
        try:
            plain, arrays = self._found(numbered.question)
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            return _unanswered(numbered, error)
        return Reply(id=numbered.id, plain=plain), arrays

    def _found(self, asked: Question) -> tuple[object, Mapping[str, Floats]]:
        ids = self._ids(asked.text)
        if asked.operation == "gradients":
            return self._network.gradients(ids, asked.layers, max_bytes=self._max_bytes)
        return self._network.generate(ids, asked.layers, asked.count)

    def _ids(self, text: str) -> list[int]:
        ids = self._network.encode(text)
        if not 1 <= len(ids) <= self._max_tokens:
            problem = f"text has {len(ids)} tokens, and must have 1 to {self._max_tokens}"
            raise CapabilityError("ValueError", problem)
        return ids


def _picked(seen: Seen, question: Question) -> Mapping[str, Floats]:
    if question.operation == "attention":
        return {str(place): seen.attention[place] for place in question.places}
    return {name: seen.outputs[name] for name in question.layers}


def _unanswered(numbered: Numbered, error: Exception) -> Answered:
    """Return a refusal for the model to see, or a failure of the probe itself, which is logged."""
    if isinstance(error, CapabilityError):
        return Reply(id=numbered.id, refusal=Refusal(error.kind, str(error))), {}
    traceback.print_exception(error)
    return Reply(id=numbered.id, failure=f"{type(error).__name__}: {error}"), {}
