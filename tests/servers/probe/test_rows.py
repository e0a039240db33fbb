"""Which axis counts the tokens, told from shapes for two and for three tokens. Needs no torch."""

import pytest

from engine.errors import CapabilityError
from servers.probe.program.rows import check_rows, token_axes

Shape = tuple[int, ...]


@pytest.mark.parametrize(
    ("shorter", "longer", "axis"),
    [
        pytest.param((1, 2, 32), (1, 3, 32), 1, id="one vector per token"),
        pytest.param((2, 32), (3, 32), 0, id="no axis for the batch"),
        pytest.param((1, 2, 2, 8), (1, 3, 2, 8), 1, id="as many heads as tokens, after them"),
        pytest.param((1, 3, 2, 8), (1, 3, 3, 8), 2, id="as many heads as tokens, before them"),
    ],
)
def test_the_axis_that_grows_with_the_text_counts_its_tokens(
    shorter: Shape, longer: Shape, axis: int
) -> None:
    assert token_axes({"layer": [shorter]}, {"layer": [longer]}) == {"layer": axis}


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        pytest.param([(1, 32, 4)], [(1, 32, 5)], id="padded"),
        pytest.param([(4, 8)], [(6, 8)], id="heads and tokens in one axis"),
        pytest.param([(1, 4, 2, 2)], [(1, 4, 3, 3)], id="a map of tokens by tokens"),
        pytest.param([(1, 32)], [(1, 32)], id="one vector for all"),
        pytest.param([(2, 32)], [(1, 3, 32)], id="two kinds of shape"),
        pytest.param([], [], id="never ran"),
        pytest.param([(2, 32)], [], id="ran for one text only"),
        pytest.param([(2, 32)] * 2, [(3, 32)] * 2, id="ran twice"),
    ],
)
def test_what_has_no_vector_for_each_token_has_no_axis(
    shorter: list[Shape], longer: list[Shape]
) -> None:
    assert token_axes({"layer": shorter}, {"layer": longer}) == {}


def test_a_layer_that_saw_only_some_tokens_of_a_text_is_refused() -> None:
    check_rows("expert", 6, (6,))
    with pytest.raises(CapabilityError, match="'expert' puts out no vector for each token"):
        check_rows("expert", 5, (6,))
