import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from engine.errors import CapabilityError, InvestigationError
from engine.introspection.answers import SharedAnswers


class Counted:
    """A question whose answer waits until it is allowed to come."""

    def __init__(self) -> None:
        self.n_computed = 0
        self.started = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> object:
        self.n_computed += 1
        self.started.set()
        assert self.may_end.wait(30)
        return {"answer": 42}


def failing(error: Exception) -> Callable[[], object]:
    def compute() -> object:
        raise error

    return compute


async def test_a_thousand_askers_share_one_computation() -> None:
    answers, question = SharedAnswers(), Counted()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(answers.answer(b"k", "m", question)) for _ in range(1000)]
        await asyncio.to_thread(question.started.wait, 30)
        question.may_end.set()
    assert question.n_computed == 1
    assert {str(task.result()) for task in asked} == {"{'answer': 42}"}
    assert (answers.costs["m"].n_asked, answers.costs["m"].n_computed) == (1000, 1)


async def test_an_asker_that_gives_up_takes_nothing_from_the_others() -> None:
    answers, question = SharedAnswers(), Counted()
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(answers.answer(b"k", "m", question))
        patient = group.create_task(answers.answer(b"k", "m", question))
        await asyncio.to_thread(question.started.wait, 30)
        impatient.cancel()
        question.may_end.set()
    assert impatient.cancelled()
    assert patient.result() == {"answer": 42}


async def test_an_answer_nobody_waits_for_any_more_is_kept() -> None:
    answers, question = SharedAnswers(), Counted()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await answers.answer(b"k", "m", question)
    question.may_end.set()
    assert await answers.answer(b"k", "m", question) == {"answer": 42}
    assert question.n_computed == 1


async def test_a_refusal_is_remembered_like_an_answer() -> None:
    answers = SharedAnswers()
    for compute in (failing(CapabilityError("ValueError", "no")), failing(AssertionError())):
        with pytest.raises(CapabilityError, match=r"^no$") as refusal:
            await answers.answer(b"k", "m", compute)
        assert refusal.value.kind == "ValueError"


async def test_trouble_of_the_host_is_not_remembered() -> None:
    answers = SharedAnswers()
    with pytest.raises(InvestigationError, match=r"introspection\.m: disk gone"):
        await answers.answer(b"k", "m", failing(OSError("disk gone")))
    assert await answers.answer(b"k", "m", lambda: 1) == 1


async def test_the_longest_unused_answers_leave_first() -> None:
    answers = SharedAnswers(limit_bytes=3000)
    for key in (b"a", b"b", b"a", b"c"):
        await answers.answer(key, key.decode(), lambda: "x" * 800)
    for key in (b"a", b"b"):
        await answers.answer(key, key.decode(), lambda: "x" * 800)
    assert answers.costs["a"].n_computed == 1
    assert answers.costs["b"].n_computed == 2


async def test_an_answer_larger_than_the_cap_is_refused() -> None:
    with pytest.raises(CapabilityError, match="ask for less"):
        await SharedAnswers().answer(b"k", "m", lambda: "x" * 300_000)


async def test_a_kept_answer_costs_little() -> None:
    answers = SharedAnswers()
    await answers.answer(b"k", "m", lambda: {"mean": 0.1})
    started = time.process_time()
    for _ in range(2000):
        await answers.answer(b"k", "m", lambda: None)
    assert (time.process_time() - started) / 2000 <= 0.0003
