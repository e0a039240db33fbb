"""What a block may ask, and what is kept of it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from engine.introspection.arguments import MAX_BYTES, canonical
from engine.sandbox import questions as asking
from engine.sandbox.protocol import Answered, Ask, Refused, ViolationError
from engine.sandbox.questions import (
    MAX_ARGUMENTS_BYTES,
    MAX_CALLS,
    MAX_LEVELS,
    MAX_VALUES,
    Questions,
)
from engine.sandbox.shelf import Shelf
from engine.transcript import ExecutionError


async def _echo(_method: str, arguments: Mapping[str, object]) -> object:
    await asyncio.sleep(0.01)
    return dict(arguments)


def _ask(*, method: str = "echo", **arguments: object) -> Ask:
    return Ask(1, method, msgspec.Raw(msgspec.msgpack.encode(arguments)))


def _nested(n_levels: int) -> Ask:
    value: object = 1
    for n in range(n_levels):
        value = [value] if n % 2 else {"x": value}
    return _ask(x=value)


async def test_an_argument_as_deep_as_allowed_is_answered() -> None:
    reply = await Questions(_echo, 5.0, Shelf()).reply(_nested(MAX_LEVELS))
    assert isinstance(reply.frame, Answered)


@pytest.mark.parametrize("n_levels", [MAX_LEVELS + 1, 500])
async def test_an_argument_nested_deeper_is_refused_by_the_limit(n_levels: int) -> None:
    questions = Questions(_echo, 5.0, Shelf())
    reply = await questions.reply(_nested(n_levels))
    what = "arguments may be nested at most 32 levels deep"
    assert reply.frame == Refused(1, "ValueError", what)
    assert questions.calls == ()


async def test_a_late_question_nested_too_deep_is_refused_and_not_recorded() -> None:
    questions = Questions(_echo, 5.0, Shelf())
    refused = questions.refuse(_nested(500), "TimeoutError", "the time of the block is up")
    assert refused.kind == "TimeoutError"
    assert questions.calls == ()


async def test_answers_that_took_too_long_together_are_followed_by_a_recorded_refusal() -> None:
    questions = Questions(_echo, 5.0, Shelf(), answers_s=0.001)
    frames = [(await questions.reply(_ask())).frame for _ in range(2)]
    assert [type(frame) for frame in frames] == [Answered, Refused]
    late = "the answers to this block took too long together: go on in the next one"
    assert questions.calls[-1].error == ExecutionError("RuntimeError", late)


async def test_as_many_values_as_allowed_are_answered() -> None:
    reply = await Questions(_echo, 5.0, Shelf()).reply(_ask(x=[0] * (MAX_VALUES - 1)))
    assert isinstance(reply.frame, Answered)


@pytest.mark.parametrize("value", [0, {}, b"x", [[]]])
async def test_more_values_are_refused_by_the_limit_whatever_they_are(value: object) -> None:
    reply = await Questions(_echo, 5.0, Shelf()).reply(_ask(x=[value] * MAX_VALUES))
    what = "arguments may have at most 32,768 values: pass less of it"
    assert reply.frame == Refused(1, "ValueError", what)


async def test_whatever_a_capability_takes_is_within_the_limits() -> None:
    floats = [0.5] * (MAX_BYTES // len("0.5,") - 20)
    ones = [1] * (MAX_BYTES // len("1,") - 20)
    for values in (floats, ones):
        canonical("echo", {"x": values})
        reply = await Questions(_echo, 5.0, Shelf()).reply(_ask(x=values))
        assert isinstance(reply.frame, Answered)


async def test_arguments_that_were_looked_at_and_refused_use_up_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "MAX_BYTES", 2 * MAX_VALUES)
    questions = Questions(_echo, 5.0, Shelf())
    frames = [(await questions.reply(_ask(x=[0] * MAX_VALUES))).frame for _ in range(3)]
    kinds = [frame.kind for frame in frames if isinstance(frame, Refused)]
    assert kinds == ["ValueError", "ValueError", "RuntimeError"]


async def test_questions_that_are_not_put_count_as_well() -> None:
    questions = Questions(_echo, 5.0, Shelf())
    odd = _ask(x=b"x")
    for _ in range(MAX_CALLS):
        await questions.reply(odd)
    one_more = await questions.reply(_ask())
    assert isinstance(one_more.frame, Refused)
    assert one_more.frame.message.startswith("too many introspection calls")


async def test_late_questions_beyond_the_limit_are_not_recorded() -> None:
    questions = Questions(_echo, 5.0, Shelf())
    for _ in range(MAX_CALLS + 1):
        questions.refuse(_ask(), "TimeoutError", "late")
    assert len(questions.calls) == MAX_CALLS


async def test_the_clock_rests_for_questions_that_are_put_and_no_others() -> None:
    n_rests = 0

    @asynccontextmanager
    async def rest() -> AsyncGenerator[None]:
        nonlocal n_rests
        n_rests += 1
        yield

    questions = Questions(_echo, 5.0, Shelf())
    for argument in (b"x", [0] * MAX_VALUES, 1):
        await questions.reply(_ask(x=argument), rest)
    assert n_rests == 1


@pytest.mark.parametrize("key", [1, None, b"x"])
async def test_a_key_that_is_no_text_is_a_type_error(key: object) -> None:
    reply = await Questions(_echo, 5.0, Shelf()).reply(_ask(x={key: 1}))
    assert isinstance(reply.frame, Refused)
    assert reply.frame.kind == "TypeError"


async def test_arguments_that_are_too_large_are_refused_unread() -> None:
    garbage = msgspec.Raw(b"\xc1" * (MAX_ARGUMENTS_BYTES + 1))
    reply = await Questions(_echo, 5.0, Shelf()).reply(Ask(1, "echo", garbage))
    what = "arguments may have at most 160 KiB: pass less of it"
    assert reply.frame == Refused(1, "ValueError", what)


@pytest.mark.parametrize("arguments", [[1], {1: 2}, "x"])
async def test_arguments_that_are_no_map_by_name_break_the_protocol(arguments: object) -> None:
    raw = msgspec.Raw(msgspec.msgpack.encode(arguments))
    with pytest.raises(ViolationError, match="unreadable arguments"):
        await Questions(_echo, 5.0, Shelf()).reply(Ask(1, "echo", raw))


async def test_the_name_of_a_method_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_BYTES", 150)
    questions = Questions(_echo, 5.0, Shelf())
    frames = [(await questions.reply(_ask(method="m" * 150))).frame for _ in range(2)]
    assert [type(frame) for frame in frames] == [Answered, Refused]


async def test_values_are_counted_by_what_they_weigh_in_memory() -> None:
    questions = Questions(_echo, 5.0, Shelf())
    empty: dict[str, object] = {}
    many = _ask(x=[empty] * (MAX_VALUES - 1))
    frames = [(await questions.reply(many)).frame for _ in range(9)]
    assert [type(frame) for frame in frames] == [Answered] * 8 + [Refused]


async def test_answers_are_counted_by_what_their_values_weigh_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWERS_WEIGHT_BYTES", 64 * 1000)

    async def lists(_method: str, _arguments: Mapping[str, object]) -> object:
        return [[]] * 300

    questions = Questions(lists, 5.0, Shelf())
    frames = [(await questions.reply(_ask())).frame for _ in range(3)]
    assert [type(frame) for frame in frames] == [Answered, Answered, Refused]


async def test_answers_of_text_weigh_no_more_than_their_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWERS_WEIGHT_BYTES", 64 * 10)
    questions = Questions(_echo, 5.0, Shelf())
    frames = [(await questions.reply(_ask(x="word " * 1000))).frame for _ in range(3)]
    assert [type(frame) for frame in frames] == [Answered] * 3
