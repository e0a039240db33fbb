"""How long a study will take, from what is remembered and from its own pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.forecast import (
    Band,
    Seen,
    Work,
    ahead,
    expected,
    find_pace,
    one_after_another,
    together,
)
from tests.engine.paces import make_pace


def make_work(n: int = 80, n_at_once: int = 8, **changes: object) -> Work:
    fields: dict[str, object] = {
        "model": "m",
        "place": "here",
        "phase": "1a",
        "phase_fingerprint": "p",
        "n_beside": 1,
    }
    return Work(n=n, n_at_once=n_at_once, **(fields | changes))  # pyright: ignore[reportArgumentType]


def make_seen(**changes: object) -> Seen:
    fields: dict[str, object] = {
        "turns_per_s": 2.0,
        "n_turns": 100,
        "n_ended": 10,
        "n_left": 30,
        "n_turns_under_way": 20,
        "most_turns": 50.0,
    }
    return Seen(**(fields | changes))  # pyright: ignore[reportArgumentType]


def test_the_same_work_takes_as_long_as_before() -> None:
    band = expected(make_work(), make_pace())
    assert band.low_s < 80 * 100 / 8 < band.high_s
    assert band.high_s / band.low_s < 1.6


def test_more_at_once_than_was_tried_may_help_fully_or_not_at_all() -> None:
    band = expected(make_work(n_at_once=32), make_pace())
    assert band.low_s < 80 * 100 / 32
    assert band.high_s > 80 * 100 / 8


def test_one_investigation_is_not_faster_than_it_was() -> None:
    band = expected(make_work(n=1, n_at_once=64), make_pace(n_at_once=1.0))
    assert band.low_s >= 100 * 0.2


def test_a_neighbour_that_was_not_there_before_widens_the_band() -> None:
    alone, beside = make_pace(n_beside=0), make_pace()
    assert expected(make_work(), alone).high_s > 1.9 * expected(make_work(), beside).high_s


def test_few_remembered_make_a_wider_band_than_many() -> None:
    few, many = (expected(make_work(), make_pace(n=n)) for n in (2, 200))
    assert few.high_s / few.low_s > many.high_s / many.low_s


@given(
    st.integers(1, 500),
    st.integers(1, 128),
    st.floats(1, 128),
    st.floats(0.1, 1e4),
    st.integers(0, 3),
)
def test_a_band_is_in_order(n: int, at_once: int, was: float, each_s: float, beside: int) -> None:
    work = make_work(n=n, n_at_once=at_once, n_beside=beside)
    band = expected(work, make_pace(n_at_once=was, each_s=each_s))
    assert 0 < band.low_s <= band.likely_s <= band.high_s


@given(st.integers(1, 99), st.integers(0, 99), st.integers(0, 99), st.floats(0.01, 99))
def test_a_band_of_a_run_is_in_order(n_turns: int, ended: int, left: int, rate: float) -> None:
    seen = make_seen(n_turns=n_turns, n_ended=ended, n_left=left, turns_per_s=rate)
    band = ahead(seen)
    assert band
    assert 0 <= band.low_s <= band.likely_s <= band.high_s


def test_only_the_same_model_and_place_are_remembered() -> None:
    others = [make_pace(model="x"), make_pace(place="x"), make_pace(n=0)]
    assert find_pace(make_work(), others) is None


def test_another_phase_of_the_same_name_is_not_remembered() -> None:
    assert find_pace(make_work(), [make_pace(phase_fingerprint="q")]) is None


def test_the_most_similar_load_counts_and_of_those_the_latest() -> None:
    near, later, far = make_pace(), make_pace(time=2.0), make_pace(n_at_once=64.0, time=3.0)
    assert find_pace(make_work(), [near, later, far]) is later


def test_while_none_has_ended_all_may_use_their_last_turn() -> None:
    band = ahead(make_seen(n_ended=0, n_left=4, n_turns_under_way=40, most_turns=50.0))
    assert band
    assert band.high_s >= (4 * 50 - 40) / 2.0
    assert band.low_s == 4 / 2.0


def test_those_that_ended_tell_how_long_the_others_will_be() -> None:
    band = ahead(make_seen())
    assert band
    assert band.low_s < 30 * 10 / 2.0 < band.high_s


def test_nothing_is_foretold_while_nothing_moves() -> None:
    assert ahead(make_seen(turns_per_s=0.0)) is None


def test_models_that_run_together_take_as_long_as_the_slowest() -> None:
    fast, slow = (Band(low_s=n, likely_s=n, high_s=n) for n in (1.0, 3.0))
    assert together([fast, slow]) == slow
    assert one_after_another([fast, slow]).likely_s == pytest.approx(4.0)
