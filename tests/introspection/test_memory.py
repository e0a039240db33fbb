import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CapabilityError
from engine.introspection.memory import Memory


@pytest.fixture
def memory() -> Memory:
    """Three observations, of three categories."""
    memory = Memory()
    memory.record_observation("The embeddings are tied.", "architecture", 0.9, ["embedding"])
    memory.record_observation("Later layers have a larger spread.", "pattern", 0.4, ["std", "MLP"])
    memory.record_observation("I compute, I do not recall.", "Belief", metadata={"n": 1})
    return memory


def ids(found: list[dict[str, object]]) -> list[object]:
    return [each["id"] for each in found]


async def test_observations_come_back_as_plain_dicts(memory: Memory) -> None:
    assert await memory.query_observations("recall") == [
        {
            "id": 3,
            "description": "I compute, I do not recall.",
            "category": "Belief",
            "importance": 0.5,
            "tags": [],
            "metadata": {"n": 1},
        }
    ]


async def test_without_a_query_the_latest_come_first(memory: Memory) -> None:
    assert ids(await memory.query_observations()) == [3, 2, 1]
    assert ids(await memory.query_observations(limit=1)) == [3]


async def test_search_finds_inflected_words_tags_and_categories(memory: Memory) -> None:
    assert ids(await memory.query_observations("layer")) == [2]
    assert ids(await memory.query_observations("mlp")) == [2]
    assert ids(await memory.query_observations("architecture")) == [1]


async def test_any_word_of_a_query_may_match_and_the_best_match_is_first(memory: Memory) -> None:
    assert ids(await memory.query_observations("larger spread embedding nothing"))[0] == 2
    assert set(ids(await memory.query_observations("spread tied"))) == {1, 2}


async def test_search_sees_what_was_stored_after_an_earlier_search(memory: Memory) -> None:
    assert await memory.query_observations("softmax") == []
    memory.record_observation("Softmax is sharp.")
    assert ids(await memory.query_observations("softmax")) == [4]


async def test_filters_narrow_the_result(memory: Memory) -> None:
    assert ids(await memory.query_observations(category="PATTERN")) == [2]
    assert ids(await memory.query_observations(tags=["mlp", "STD"])) == [2]
    assert ids(await memory.query_observations(min_importance=0.5)) == [3, 1]


async def test_patterns_theories_and_beliefs_are_categories(memory: Memory) -> None:
    assert ids(await memory.query_patterns()) == [2]
    assert ids(await memory.query_beliefs("compute")) == [3]
    assert await memory.query_theories() == []


def test_summary_counts_what_is_stored(memory: Memory) -> None:
    assert memory.get_memory_summary() == {
        "n_observations": 3,
        "categories": {"architecture": 1, "pattern": 1, "Belief": 1},
        "tags": {"embedding": 1, "std": 1, "MLP": 1},
        "most_important": {
            "1": "The embeddings are tied.",
            "3": "I compute, I do not recall.",
            "2": "Later layers have a larger spread.",
        },
    }


@pytest.mark.parametrize("importance", [8, -0.1, float("nan")])
def test_importance_out_of_range_is_refused(memory: Memory, importance: float) -> None:
    with pytest.raises(CapabilityError, match="importance must be between 0 and 1, not"):
        memory.record_observation("x", importance=importance)


def test_an_empty_description_is_refused(memory: Memory) -> None:
    with pytest.raises(CapabilityError, match="description is empty"):
        memory.record_observation("")


def test_a_description_of_blanks_is_refused_as_that(memory: Memory) -> None:
    with pytest.raises(CapabilityError, match="description is empty but for blanks"):
        memory.record_observation("  ")


def test_there_is_a_most_of_everything(memory: Memory) -> None:
    with pytest.raises(CapabilityError, match="at most 20000"):
        memory.record_observation("x" * 20_001)
    for _ in range(997):
        memory.record_observation("x")
    with pytest.raises(CapabilityError, match="1000 observations are stored"):
        memory.record_observation("x")


@given(st.text(max_size=60))
async def test_no_query_is_a_syntax_error(query: str) -> None:
    memory = Memory()
    memory.record_observation("The embeddings are tied.")
    assert len(await memory.query_observations(query)) <= 1


async def test_operators_of_the_search_engine_are_words(memory: Memory) -> None:
    memory.record_observation("It is near zero, not large.")
    assert ids(await memory.query_observations('NEAR("zero" AND * OR')) == [4]
