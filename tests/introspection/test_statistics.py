import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.introspection.statistics import difference, moments, rounded

Values = npt.NDArray[np.float32]


def blocks(values: Values, size: int) -> list[Values]:
    return [values[start : start + size] for start in range(0, len(values), size)]


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.integers(min_value=1, max_value=20),
)
def test_moments_over_blocks_equal_those_over_the_whole(numbers: list[float], size: int) -> None:
    values = np.array(numbers, np.float32)
    exact = values.astype(np.float64)
    found = moments(blocks(values, size))
    assert found.n_values == len(values)
    assert found.n_zeros == np.count_nonzero(exact == 0)
    assert math.isclose(found.mean, exact.mean(), rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(found.std, exact.std(), rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(found.l2_norm, np.linalg.norm(exact), rel_tol=1e-9, abs_tol=1e-6)
    assert (found.smallest, found.largest) == (exact.min(), exact.max())


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    found = moments([np.array([1, np.nan, 3], np.float32), np.array([np.inf], np.float32)])
    assert (found.n_values, found.n_not_finite, found.mean) == (2, 2, 2.0)


def test_no_values_have_no_spread() -> None:
    assert moments([]).std == 0.0


def test_difference_equals_the_direct_computation() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 100)).astype(np.float32)
    found = difference(zip(blocks(first, 7), blocks(second, 7), strict=True))
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    assert found.cosine == pytest.approx(float(cosine), rel=1e-5)
    assert found.l2_distance == pytest.approx(float(np.linalg.norm(first - second)), rel=1e-5)
    assert found.largest == pytest.approx(float(np.abs(first - second).max()), rel=1e-6)


def test_the_largest_difference_to_what_is_no_number_is_none() -> None:
    ones = np.ones(4, np.float32)
    odd = np.array([1, np.nan, 1, 1], np.float32)
    pairs = zip(blocks(odd, 2), blocks(ones, 2), strict=True)
    assert math.isnan(difference(pairs).largest)


def test_rounding_keeps_six_digits_and_drops_what_is_not_finite() -> None:
    assert rounded(0.123456789) == 0.123457
    assert rounded(math.inf) is None
