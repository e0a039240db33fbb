"""Frames between a probe's two sides come out as they went in, or not at all."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from engine.introspection.probe import Question
from engine.introspection.safetensors import Floats
from servers.probe.wire import (
    Numbered,
    Refusal,
    Reply,
    receive_question,
    receive_reply,
    send_question,
    send_reply,
)

SHAPES = drawn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
ARRAYS = st.dictionaries(st.text(max_size=5), drawn.arrays(np.float32, SHAPES), max_size=4)


@given(text=st.text(), layers=st.lists(st.text()).map(tuple))
def test_a_question_comes_out_as_it_went_in(text: str, layers: tuple[str, ...]) -> None:
    asked = Numbered(7, Question(operation="outputs", text=text, layers=layers, places=(1,)))
    stream = io.BytesIO()
    send_question(stream, asked)
    stream.seek(0)
    assert receive_question(stream) == asked
    assert receive_question(stream) is None


@given(ARRAYS)
def test_a_reply_comes_out_as_it_went_in(arrays: dict[str, Floats]) -> None:
    sent = Reply(id=3, plain={"ids": [1, 2]}, refusal=Refusal("ValueError", "no"))
    stream = io.BytesIO()
    send_reply(stream, sent, arrays)
    stream.seek(0)
    received = receive_reply(stream)
    assert received
    assert received[0] == sent
    assert received[1].keys() == arrays.keys()
    for name, array in arrays.items():
        assert received[1][name].shape == array.shape
        np.testing.assert_array_equal(received[1][name], array)


@pytest.mark.parametrize("missing", [1, 9, 40, 60])
def test_a_reply_that_is_cut_off_is_none(missing: int) -> None:
    stream = io.BytesIO()
    send_reply(stream, Reply(id=1), {"layer": np.ones((3, 4), np.float32)})
    assert receive_reply(io.BytesIO(stream.getvalue()[:-missing])) is None
