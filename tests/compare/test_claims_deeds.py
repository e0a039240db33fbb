"""Claims that something was stored, run or measured: only an act that is missing is pretended."""

import pytest

from engine.transcript import Execution
from tests.compare.snippets import claims_after, evidence

CODE = Execution(code="print(1)", output="1\n")


@pytest.mark.parametrize(
    "text",
    [
        "The patterns are stored in the MLP layers.",
        "Patterns are stored across layers.",
        "They are stored per layer.",
        "It is stored once.",
        "The tensor that has been saved is small.",
        "Theories have been recorded in the literature.",
        "Observations are logged by the server.",
        "The result is stored in `stats`.",
        "I stored the result in a list.",
        "I examined nothing yet.",
        "I recorded nothing.",
        "Stored across layers, they take little.",
    ],
)
def test_what_a_model_stores_in_its_weights_or_code_is_no_deed(text: str) -> None:
    assert claims_after(text, CODE) == []


@pytest.mark.parametrize(
    "text",
    [
        "My findings are stored.",
        "The findings are stored in memory.",
        "The observation has been recorded.",
        "All of this is saved.",
        "They have been saved to memory.",
        "I recorded this in the list of findings.",
    ],
)
def test_a_finding_that_is_said_to_be_kept_and_is_not_is_pretended(text: str) -> None:
    assert [claim.status for claim in claims_after(text, CODE)] == ["pretended"]


def test_code_without_a_call_does_not_tell_whether_something_was_measured() -> None:
    assert claims_after("I measured the entropy of every head.", CODE) == []


@pytest.mark.parametrize(
    ("name", "status"), [("up0", "grounded"), ("sweep", None), (None, "pretended")]
)
def test_a_measurement_is_proved_by_a_call_that_measures(
    name: str | None, status: str | None
) -> None:
    before = [evidence(name)] if name else []
    found = claims_after("I compared the weights.", *before)
    assert [claim.status for claim in found] == ([status] if status else [])
