"""Arguments that a confused or a hostile model gives: an answer or a refusal, soon, and no more."""

import inspect
import math
import time
from collections.abc import Mapping

import msgspec
import pytest

from engine.errors import CapabilityError
from engine.introspection.table import CapabilityTable
from engine.sandbox import Workspace
from tests.introspection.functions import METHODS, signature

NAME = "model.layers.0.mlp.down_proj.weight"
GOOD: dict[str, object] = {
    "layer_name": "model.layers.0",
    "parameter_name": NAME,
    "other_parameter_name": NAME,
    "description": "The embeddings are tied.",
    "document_name": "01-measured",
    "reflection": "I measured.",
    "message": "I read.",
    "discovery_type": "architecture",
    "query": "embeddings",
    "text": "A cat sat down.",
    "other_text": "It rained.",
    "texts": ["one thing", "two things"],
    "reference_texts": ["The cat sat on the mat."],
}
LONG = 60_000
WORDS = {
    "empty": "",
    "blank": " \n\t ",
    "dot": ".",
    "dots": "." * LONG,
    "stars": "*" * LONG,
    "star for star": "*a" * (LONG // 2),
    "regex bomb": "(a+)+$" + "a" * 5000 + "!",
    "brackets": "[" * 5000 + "]" * 5000,
    "everything": "*",
    "many words": " ".join(f"w{n}" for n in range(8000)),
    "quotes": '"\' OR NEAR("a b" * ) AND NOT {}^:-+ "',
    "operators": "AND OR NOT NEAR",
    "zero byte": "a\0b",
    "right to left": "\u202eabc\u0000\ufeff",
    "emoji": "🧠" * 5000,
    "odd case": "\u0130\u0131\u017f\u212a" * 100,
    "marks": "a" + "\u0301" * 5000,
    "underscores": "__ ___ ²³ ٣ ฿",
    "path": "../../../../etc/passwd",
    "template": "{0.__class__} %s %(x)s {}",
    "dunder": "__class__",
    "near": "model.layer.0" * 15,
    "far index": "model.layers.1000000000",
    "superscript": "model.layers.²",
    "long name": "model.layers." * 4000,
}
OTHERS: dict[str, object] = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "billion": 10**9,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "float": 0.5,
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "tiny": 5e-324,
    "empty list": [],
    "list of none": [None],
    "many names": ["model.layers.0"] * 5000,
    "same name": ["model.layers.0"] * 40,
    "nested": [[["model.layers.0"]]],
    "mixed": ["model.layers.0", 1, {}],
    "empty dict": {},
    "deep": {"a": {"b": {"c": [{"d": None}] * 100}}},
    "wide": {f"k{n}": n for n in range(3000)},
}
VALUES: Mapping[str, object] = WORDS | OTHERS
SOON_S = 0.5


def given(signature: inspect.Signature) -> dict[str, object]:
    """The arguments that have no default."""
    wanted = signature.parameters.values()
    return {
        each.name: GOOD[each.name] for each in wanted if each.default is inspect.Parameter.empty
    }


async def answered(table: CapabilityTable, method: str, arguments: dict[str, object]) -> None:
    """Ask, and see that an answer or a refusal comes soon, and is one that can be sent."""
    started = time.process_time()
    refusal, answer = None, None
    try:
        answer = await table.answer(method, arguments)
    except CapabilityError as error:
        refusal = error
    assert time.process_time() - started < SOON_S, (method, time.process_time() - started)
    assert len(msgspec.json.encode(answer, enc_hook=str)) < 300_000
    if refusal:
        assert refusal.kind in {"TypeError", "ValueError", "IndexError", "RuntimeError"}
        assert 0 < len(str(refusal)) < 2000, method


@pytest.mark.parametrize("kind", VALUES)
async def test_any_argument_may_be_anything(table: CapabilityTable, kind: str) -> None:
    for module, name in METHODS:
        known = signature(module, name)
        for argument in known.parameters:
            arguments = given(known) | {argument: VALUES[kind]}
            await answered(table, f"{module}.{name}", arguments)


@pytest.mark.parametrize("kind", VALUES)
async def test_all_arguments_may_be_anything(table: CapabilityTable, kind: str) -> None:
    for module, name in METHODS:
        arguments = dict.fromkeys(signature(module, name).parameters, VALUES[kind])
        await answered(table, f"{module}.{name}", arguments)


async def test_what_is_stored_is_bounded(table: CapabilityTable) -> None:
    finding = {"description": "d", "metadata": {"values": "x" * 60_000}}
    for _ in range(69):  # 4 MiB
        await table.answer("memory.record_observation", finding)
    with pytest.raises(CapabilityError, match=r"^69 observations are stored, no more fit$"):
        await table.answer("memory.record_observation", finding)
    listed = await table.answer("memory.query_observations", {"limit": 3})
    assert isinstance(listed, list)


@pytest.mark.parametrize(
    ("argument", "value", "why"),
    [
        ("category", "c" * 101, "category has 101 characters, at most 100 fit"),
        ("tags", ["t"] * 21, "21 tags were given, at most 20 fit"),
        ("tags", ["fine", " "], "a tag is empty"),
        ("tags", ["t" * 101], "a tag has 101 characters"),
    ],
)
async def test_names_of_findings_are_short(
    table: CapabilityTable, argument: str, value: object, why: str
) -> None:
    with pytest.raises(CapabilityError, match=why):
        await table.answer("memory.record_observation", {"description": "d", argument: value})


async def test_the_summary_of_full_notes_is_still_given(table: CapabilityTable) -> None:
    for number in range(200):
        finding = {"description": "\u00e9" * 9000, "category": f"{number:0>100}"}
        await table.answer("memory.record_observation", finding)
    summary = await table.answer("memory.get_memory_summary", {})
    assert isinstance(summary, dict)
    assert summary["n_observations"] == 200


@pytest.mark.parametrize("name", ["layers*", "model.layers.*.mlp", "*", "model.layers.**", "[*]"])
async def test_a_pattern_in_the_place_of_a_name_is_a_wrong_name(
    table: CapabilityTable, name: str
) -> None:
    with pytest.raises(CapabilityError, match=r"^no layer"):
        await table.answer("architecture.describe_layer", {"layer_name": name})


CODE = """
import collections
from introspection import architecture, memory, weights

def attempt(call):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, str(error)[:60].encode("unicode_escape").decode())
    else:
        print("answered")

class Text(str):
    pass

class Odd:
    def __repr__(self):
        raise SystemExit
    __class__ = property(lambda self: 1 / 0)

deep = []
for _ in range(100_000):
    deep = [deep]
around = []
around.append(around)
attempt(lambda: architecture.describe_layer("\\ud800"))
attempt(lambda: architecture.describe_layer(Text("model.layers.0")))
attempt(lambda: architecture.describe_layer(b"model.layers.0"))
attempt(lambda: architecture.describe_layer(architecture))
attempt(lambda: architecture.describe_layer(Odd()))
attempt(lambda: architecture.get_layer_info(deep))
attempt(lambda: architecture.get_layer_info(around))
attempt(lambda: architecture.get_layer_info(name for name in ["model.layers.0"]))
attempt(lambda: architecture.get_layer_info({"model.layers.0"}))
attempt(lambda: memory.query_observations(limit=10**30))
attempt(lambda: memory.query_observations(limit=1e9))
attempt(lambda: memory.record_observation("d", metadata={1: 2, (1, 2): 3}))
attempt(lambda: memory.record_observation("d", metadata={"x": float("nan")}))
attempt(lambda: memory.record_observation("d", metadata={"x": object()}))
attempt(lambda: memory.record_observation("d", metadata=collections.OrderedDict(a=1)))
attempt(lambda: memory.record_observation("x" * 10_000_000))
attempt(lambda: weights.get_weight_statistics(*range(10_000)))
attempt(lambda: weights.get_weight_statistics(**{"\\u202e": 1}))
print(architecture.describe_layer("model.layers.0")["name"])
"""


async def test_objects_that_cannot_be_sent_end_nothing(workspace: Workspace) -> None:
    execution = await workspace.execute(CODE)
    assert execution.error is None, execution.output
    told = execution.output.splitlines()
    assert told[-1] == "model.layers.0"
    of_python = {"OverflowError", "RecursionError", "UnicodeEncodeError", "ZeroDivisionError"}
    kinds = {line.split()[0] for line in told[:-1]}
    assert kinds <= {"answered", "TypeError", "ValueError"} | of_python
    assert len(told) == 19
