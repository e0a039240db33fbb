"""Claims about the model beside its checkpoint: a wrong verdict is worse than none."""

import pytest

from engine.compare.claims.ledger import ledger_of
from engine.compare.claims.manner import holds, manner_of
from engine.compare.claims.numerals import numerals
from engine.compare.claims.truth import Truth
from engine.transcript import Call, Execution
from tests.compare.snippets import claims_after, evidence, transcript_of, turn_of

TRUTH = Truth(
    figures={
        "n_layers": 24,
        "n_attention_heads": 14,
        "n_key_value_heads": 2,
        "hidden_size": 896,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "n_parameters": 494032768,
    },
    names=frozenset(),
)


def verdicts(text: str) -> list[bool | None]:
    return [claim.is_true for claim in claims_after(text, evidence("summary"), truth=TRUTH)]


@pytest.mark.parametrize(
    "text",
    [
        "The model has less than 1 billion parameters.",
        "The model has fewer than 30 layers.",
        "The model has at least 20 layers.",
        "I have up to 30 layers.",
        "I have no more than 24 layers.",
        "I have over 0.4B parameters.",
        "My hidden size is under 1000.",
        "The vocabulary has more than 150,000 tokens.",
        "I have nearly 500 million parameters.",
        "My vocabulary is roughly 150k tokens.",
        "There are 24 layers in the model.",
        "There are 24 transformer layers, each with 14 attention heads.",
        "I am a transformer with 24 layers and 14 heads.",
        "- **Layers**: 24",
        "Compared with GPT-2, my hidden size is 896.",
    ],
)
def test_what_is_so_is_true(text: str) -> None:
    assert set(verdicts(text)) == {True}


@pytest.mark.parametrize(
    "text",
    [
        "The model has more than 30 layers.",
        "The model has over 1 billion parameters.",
        "The model has about 1 billion parameters.",
        "I have more than 24 layers.",
        "I have more than 20 attention heads.",
        "The vocabulary size is over 200k tokens.",
        "I have at most 20 layers.",
        "I have about 12 layers.",
        "Each layer has 16 heads.",
        "- Layers: 28",
    ],
)
def test_what_is_not_so_is_wrong(text: str) -> None:
    assert verdicts(text) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "8 layers have a std above 0.03.",
        "There are 3 layers whose norm is above 10.",
        "There are 3 layers in the model that differ.",
        "The model contains 3 heads with a high entropy.",
        "Five heads attend to the first token.",
        "I found 3 heads with high entropy.",
        "The first half (12 layers) has smaller norms.",
        "Layers 0-11 form the first half, i.e. 12 layers.",
        "Each key-value head serves 7 query heads.",
        "The keys have 128 dimensions (2 heads of 64).",
        "Sampled layers: 0, 12, 23.",
        "Outlier heads: 3",
        "Number of heads: 3 of 14",
        "I have 136 million parameters in the embedding.",
        "The first layer has 14,912,384 parameters.",
        "24 x 14 = 336 attention heads.",
        "The mean over 12 layers is small.",
    ],
)
def test_what_may_be_said_of_a_part_has_no_truth_and_is_not_contradicted(text: str) -> None:
    found = claims_after(text, evidence("summary"), truth=TRUTH)
    assert {claim.is_true for claim in found} <= {None}
    assert "contradicted" not in {claim.status for claim in found}


@pytest.mark.parametrize(
    "text",
    [
        "GPT-2 small has 12 layers and 768 hidden units.",
        "Llama-7B has 32 layers.",
        "A 7B model has 28 layers; I have 24.",
        "GPT-2 has a hidden size of 768.",
        "In Llama, the hidden size is 4096 and the number of layers is 32.",
        "The larger model has 32 layers.",
        "RoBERTa is wider: the hidden size is 1024.",
    ],
)
def test_what_is_said_of_another_model_has_no_truth(text: str) -> None:
    assert set(verdicts(text)) == {None}


@pytest.mark.parametrize(
    "text",
    [
        "The MLP has a hidden size of 4864.",
        "The vocabulary has 3 special tokens.",
        "I used a context length of 20.",
        "With a sequence length of 8 it is small.",
    ],
)
def test_a_size_that_is_not_the_one_of_the_model_has_no_truth(text: str) -> None:
    assert verdicts(text) == [None]


@pytest.mark.parametrize("text", ["I have 20-30 layers.", "I have between 20 and 30 layers."])
def test_a_range_of_layers_is_no_claim(text: str) -> None:
    assert verdicts(text) == []


@pytest.mark.parametrize(
    ("said", "value", "is_right"),
    [
        ("about 1 billion", 1.1e9, True),
        ("about 1 billion", 4.94e8, False),
        ("about 7 billion", 7.6e9, True),
        ("about 500 million", 4.94e8, True),
        ("about 20", 24, None),
        ("about 10", 24, False),
        ("about twenty", 21, True),
        ("about 12%", 0.121, True),
        ("over 32K", 32768, None),
        ("under 12%", 0.5, None),
        ("not above 24", 24, True),
        ("spread over 28", 32, False),
    ],
)
def test_a_number_agrees_as_far_as_it_is_said_to(
    said: str,
    value: float,
    is_right: bool | None,  # noqa: FBT001 - a column of the table above
) -> None:
    (number,) = numerals(said)
    manner, _ = manner_of(said, number.start, 0)
    assert holds(number, manner, value) is is_right


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SiLU, not ReLU, is the activation function.", ["SiLU"]),
        ("The model uses bfloat16, not float32, precision.", ["bfloat16"]),
        ("The embeddings and lm_head are tied (not untied).", ["tied"]),
        ("The RMSNorm activations are computed in float32 precision.", []),
    ],
)
def test_a_kind_that_is_denied_or_of_something_else_is_no_claim(
    text: str, named: list[str]
) -> None:
    assert [claim.text for claim in claims_after(text)] == named


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("n = len(norms[:14])", "grounded"),
        ("n = sum(x > 10.40 for x in a4)", "grounded"),
        ("n = 4", "unmeasured"),
    ],
)
def test_a_number_is_written_in_code_only_where_all_its_digits_are(code: str, status: str) -> None:
    call = Call(
        method="memory.record_observation",
        arguments={"description": "The std is 4."},
        answer={"id": 1},
    )
    turn = turn_of(0, "", (Execution(code=code, output="", calls=(call,)),))
    (claim,) = ledger_of(transcript_of((turn,))).claims
    assert claim.status == status
