"""Questions that wait together are answered by as few passes as there are texts."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.errors import CapabilityError
from engine.introspection.probe import Operation, Question
from engine.introspection.safetensors import Floats
from servers.probe.program.answering import Answering
from servers.probe.program.seen import Seen
from servers.probe.wire import Numbered

MOST_LAYERS = 2


class CountingNetwork:
    """Letters are tokens; a pass over more than two layers is refused."""

    def __init__(self) -> None:
        self.passes: list[tuple[int, tuple[str, ...], tuple[int, ...]]] = []

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def look(
        self, ids: Sequence[int], layers: Sequence[str], places: Sequence[int], *, max_bytes: int
    ) -> Seen:
        assert max_bytes == 1000
        self.passes.append((len(ids), tuple(layers), tuple(places)))
        if len(layers) > MOST_LAYERS:
            raise CapabilityError("ValueError", "name fewer layers")
        return Seen(
            plain={"ids": list(ids), "texts": []},
            outputs={name: np.full((len(ids), 1), float(name), np.float32) for name in layers},
            attention={place: np.ones((1, 1, 1), np.float32) for place in places},
        )

    def gradients(
        self, ids: Sequence[int], layers: Sequence[str], *, max_bytes: int
    ) -> tuple[object, Mapping[str, Floats]]:
        raise NotImplementedError

    def generate(
        self, ids: Sequence[int], layers: Sequence[str], count: int
    ) -> tuple[object, Mapping[str, Floats]]:
        raise NotImplementedError


def asked(number: int, text: str, *layers: str, kind: Operation = "outputs") -> Numbered:
    places = (number,) if kind == "attention" else ()
    return Numbered(number, Question(operation=kind, text=text, layers=layers, places=places))


def answering(network: CountingNetwork) -> Answering:
    return Answering(network, max_tokens=8, max_bytes=1000)


def test_one_text_is_run_once_for_all_who_ask_about_it() -> None:
    network = CountingNetwork()
    questions = [asked(1, "abc", "1"), asked(2, "abc", "2", "1"), asked(3, "de", "1")]
    questions.append(asked(4, "abc", kind="attention"))
    found = {reply.id: arrays for reply, arrays in answering(network).answer(questions)}
    assert network.passes == [(3, ("1", "2"), (4,)), (2, ("1",), ())]
    assert {number: set(arrays) for number, arrays in found.items()} == {
        1: {"1"},
        2: {"1", "2"},
        3: {"1"},
        4: {"4"},
    }


def test_what_is_too_much_together_is_answered_one_by_one() -> None:
    network = CountingNetwork()
    questions = [asked(1, "abc", "1", "2"), asked(2, "abc", "3"), asked(3, "abc", "1", "2", "3")]
    replies = {reply.id: reply for reply, _ in answering(network).answer(questions)}
    assert [replies[number].refusal is None for number in (1, 2, 3)] == [True, True, False]


def test_a_text_that_is_too_long_runs_nothing() -> None:
    network = CountingNetwork()
    ((reply, arrays),) = answering(network).answer([asked(1, "a" * 9, "1")])
    assert reply.refusal
    assert reply.refusal.message == "text has 9 tokens, and must have 1 to 8"
    assert not arrays
    assert not network.passes


def test_a_question_that_fails_takes_no_other_with_it() -> None:
    questions = [asked(1, "a", "1"), asked(2, "b", "strange"), asked(3, "c", "1")]
    questions += [asked(4, "b", "1"), asked(5, "a", "1", kind="generation"), asked(6, "b", "2")]
    replies = {reply.id: reply for reply, _ in answering(CountingNetwork()).answer(questions)}
    assert sorted(replies) == [1, 2, 3, 4, 5, 6]
    assert [number for number, reply in replies.items() if reply.failure] == [5, 2]
