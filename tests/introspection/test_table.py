import asyncio
import time
from collections.abc import Iterator, Mapping

import pytest

from engine.errors import CapabilityError, UsageError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.subject import Subject, available_capabilities
from engine.introspection.table import CapabilityTable
from engine.transcript import Call, ExecutionError

EMPTY = ExecutionError("ValueError", "description is empty")


async def refusal(table: CapabilityTable, method: str, arguments: Mapping[str, object]) -> str:
    with pytest.raises(CapabilityError) as raised:
        await table.answer(method, arguments)
    return f"{raised.value.kind}: {raised.value}"


def test_lines_and_modules_name_what_was_granted(baseline: CapabilityTable) -> None:
    assert [name for name, _ in baseline.lines] == ["architecture", "weights", "memory"]
    assert set(baseline.modules) == {
        "introspection",
        "introspection.architecture",
        "introspection.weights",
        "introspection.memory",
    }


def test_without_a_checkpoint_only_the_investigation_itself_is_left() -> None:
    assert available_capabilities(None) == ("memory",)
    assert available_capabilities(None, is_reported=True) == ("memory", "generation")


def test_with_a_checkpoint_its_capabilities_are_there(subject: Subject) -> None:
    assert available_capabilities(subject.checkpoint) == ("architecture", "weights", "memory")


@pytest.mark.parametrize("name", ["weights", "telepathy"])
def test_what_cannot_be_granted_is_refused_to_the_caller(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        CapabilityTable([name], subject=Subject())


async def test_a_hidden_method_and_one_that_never_was_get_the_same_answer(subject: Subject) -> None:
    table = CapabilityTable(["architecture"], subject=subject)
    hidden = await refusal(table, "memory.query_beliefs", {"query": "x"})
    absent = await refusal(table, "nothing.query_beliefs", {"query": "x"})
    assert hidden.replace("memory", "nothing") == absent


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"layer": "x"}, "got an unexpected keyword argument 'layer'"),
        ({}, "missing 1 required argument: 'layer_name'"),
        ({"layer_name": 3}, "argument 'layer_name' must be str | list[str], not int"),
        ({"layer_name": None}, "argument 'layer_name' must be str | list[str], not NoneType"),
    ],
)
async def test_wrong_arguments_are_type_errors_that_point_to_help(
    table: CapabilityTable, arguments: dict[str, object], problem: str
) -> None:
    text = await refusal(table, "architecture.get_layer_info", arguments)
    assert text == f"TypeError: get_layer_info() {problem}. See help(architecture.get_layer_info)"


async def test_a_wrong_type_inside_a_list_is_named(table: CapabilityTable) -> None:
    text = await refusal(table, "architecture.get_layer_info", {"layer_name": ["a", 1]})
    assert "must be str | list[str]: Expected `str`, got `int`" in text


async def test_a_text_in_the_place_of_a_list_is_named_as_a_text(table: CapabilityTable) -> None:
    arguments = {"description": "a", "tags": "x"}
    text = await refusal(table, "memory.record_observation", arguments)
    assert "argument 'tags' must be list[str] | None, not str" in text


async def test_true_is_no_number(table: CapabilityTable) -> None:
    arguments = {"layer_name": "model.norm", "top_k": True}
    text = await refusal(table, "architecture.find_similar_layers", arguments)
    assert "argument 'top_k' must be int, not bool" in text


async def test_huge_arguments_are_refused(table: CapabilityTable) -> None:
    arguments = {"description": "x" * 100_000}
    assert "at most 65536 are taken" in await refusal(table, "memory.record_observation", arguments)


async def test_investigations_share_pure_answers_and_no_findings(subject: Subject) -> None:
    tables = [CapabilityTable(["weights", "memory"], subject=subject) for _ in range(50)]
    async with asyncio.TaskGroup() as group:
        for table in tables:
            group.create_task(table.answer("weights.list_parameters", {}))
    await tables[0].answer("memory.record_observation", {"description": "mine"})
    assert await tables[1].answer("memory.query_observations", {}) == []
    assert subject.answers.costs["weights.list_parameters"].n_computed == 1


async def test_two_models_that_share_a_store_keep_their_own_answers(subject: Subject) -> None:
    assert subject.checkpoint is not None
    assert subject.checkpoint.directory is not None
    path = subject.checkpoint.directory / "config.json"
    path.write_text(path.read_text().replace("qwen2", "other"))
    other = Subject(open_checkpoint(path.parent), answers=subject.answers)
    for each, name in ((subject, "qwen2"), (other, "other")):
        table = CapabilityTable(["architecture"], subject=each)
        summary = await table.answer("architecture.get_architecture_summary", {})
        assert f"'model_type': '{name}'" in str(summary)


async def test_recorded_calls_bring_the_findings_back(table: CapabilityTable) -> None:
    before: list[Call] = []
    for text in ("first", "second"):
        arguments: dict[str, object] = {"description": text}
        answer = await table.answer("memory.record_observation", arguments)
        before.append(Call(method="memory.record_observation", arguments=arguments, answer=answer))
    refused: dict[str, object] = {"description": ""}
    before.append(Call(method="memory.record_observation", arguments=refused, error=EMPTY))
    before.append(Call(method="architecture.list_layers", arguments={}, answer={}))
    revived = CapabilityTable(["memory"], subject=Subject())
    revived.restore(before)
    query = "memory.query_observations"
    assert await revived.answer(query, {}) == await table.answer(query, {})


def twenty_questions() -> Iterator[tuple[str, dict[str, object]]]:
    for layer in ("model.layers.0", "model.layers.1", "model.layers.2"):
        yield "architecture.describe_layer", {"layer_name": layer}
        yield "architecture.get_layer_info", {"layer_name": f"{layer}.mlp"}
        yield "architecture.find_similar_layers", {"layer_name": layer}
        yield "weights.get_layer_parameters", {"layer_name": layer}
        down = f"{layer}.mlp.down_proj.weight"
        yield "weights.get_weight_statistics", {"parameter_name": down}
    yield "architecture.get_architecture_summary", {}
    yield "architecture.list_layers", {}
    yield "weights.list_parameters", {}
    yield "weights.list_parameters", {"filter_pattern": "mlp"}
    yield "weights.get_shared_weights", {}


@pytest.mark.slow
async def test_a_thousand_investigations_compute_twenty_answers(subject: Subject) -> None:
    questions = list(twenty_questions())
    assert len(questions) == 20

    async def investigate() -> None:
        table = CapabilityTable(["architecture", "weights"], subject=subject)
        for method, arguments in questions:
            await table.answer(method, arguments)

    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(1000):
            group.create_task(investigate())
    costs = subject.answers.costs.values()
    assert sum(cost.n_asked for cost in costs) == 20_000
    assert sum(cost.n_computed for cost in costs) == 20
    assert (time.process_time() - started) / 20_000 <= 0.0003
