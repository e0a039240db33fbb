"""Who caused a failed execution: real blocks in a real sandbox."""

import pytest

from engine.compare.causes import Cause, cause_of, unknown_name
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Limits
from engine.sandbox.host import open_sandbox
from engine.transcript import Execution, ExecutionError

LIMITS = Limits(memory_bytes=256 << 20)


async def ran(code: str, limits: Limits = LIMITS) -> Execution:
    table = CapabilityTable(["memory"], subject=Subject())
    async with (
        open_sandbox(limits) as sandbox,
        sandbox.open(modules=table.modules, answer=table.answer, seed=1) as workspace,
    ):
        return await workspace.execute(code)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("print(undefined)", Cause.MODEL),
        ("open('nothing.txt')", Cause.SANDBOX_WALL),
        ("import torch", Cause.SANDBOX_WALL),
        ("import architecture", Cause.MODEL),
        ("from introspect import weights", Cause.MODEL),
        ("import threading\nthreading.Thread(target=print).start()", Cause.SANDBOX_WALL),
        ("import subprocess\nsubprocess.run(['ls'])", Cause.SANDBOX_WALL),
        ("x = bytearray(1 << 30)", Cause.SANDBOX_LIMIT),
        ("import os\nos._exit(3)", Cause.SANDBOX_LIMIT),
        (
            "from introspection import memory\nmemory.record_observation('x' * 70_000)",
            Cause.INTROSPECTION_LIMIT,
        ),
        (
            "from introspection import memory\nmemory.record_observation('x' * 30_000)",
            Cause.INTROSPECTION_LIMIT,
        ),
        (
            "from introspection import memory\nmemory.record_observation(importance=2)",
            Cause.MODEL,
        ),
        ("from introspection import weights", Cause.MODEL),
    ],
)
async def test_the_cause_of_a_failure_is_told_from_what_it_says(code: str, cause: Cause) -> None:
    error = (await ran(code)).error
    assert error is not None
    assert cause_of(error) is cause, error


async def test_a_block_that_takes_too_long_fails_by_a_limit_of_the_sandbox() -> None:
    error = (await ran("while True:\n    pass", Limits(wall_s=1.0))).error
    assert error is not None
    assert cause_of(error) is Cause.SANDBOX_LIMIT, error


@pytest.mark.parametrize(
    "message",
    [
        "the values have more than 256 MiB: name fewer layers, or a shorter text",
        "the arrays have 300,000,000 bytes, at most 268,435,456 can be passed",
        "the answer has 3000000 bytes, at most 2097152 are given: ask for less",
        "41 names were given, at most 40 are answered at once",
        "text has 600 tokens, and must have 1 to 512",
        "1000 observations are stored, no more fit",
        "200 turns are recorded, no more fit: history.clear_history()",
        "100 of kind 'reflection' are stored already",
        "the answers to this block took too long together: go on in the next one",
    ],
)
def test_a_question_beyond_a_limit_of_introspection_is_the_harness_s(message: str) -> None:
    assert cause_of(ExecutionError("ValueError", message)) is Cause.INTROSPECTION_LIMIT


def test_a_text_without_tokens_is_the_model_s() -> None:
    error = ExecutionError("ValueError", "text has 0 tokens, and must have 1 to 512")
    assert cause_of(error) is Cause.MODEL


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from introspection import weights", "weights"),
        ("import introspection\nintrospection.consciousness", "consciousness"),
        ("from introspection import memory\nmemory.forget()", "memory.forget"),
        ("from introspection.memory import forget", "memory.forget"),
        ("import introspection.weights", "weights"),
    ],
)
async def test_names_that_do_not_exist_are_listed(code: str, name: str) -> None:
    error = (await ran(code)).error
    assert error is not None
    assert unknown_name(error) == name, error


def test_another_attribute_error_is_no_name_of_the_api() -> None:
    error = ExecutionError("AttributeError", "'list' object has no attribute 'mean'")
    assert unknown_name(error) is None
