"""Endless repetition."""

from hypothesis import given
from hypothesis import strategies as st

from engine.repetition import n_repeats, runs_in_circles


def test_a_sentence_said_over_and_over_runs_in_circles() -> None:
    assert runs_in_circles("First. " + "I will look at the layers. " * 20)


def test_one_character_without_end_runs_in_circles() -> None:
    assert runs_in_circles("!" * 300)


def test_ordinary_prose_does_not() -> None:
    assert not runs_in_circles("The model has layers. " + " ".join(map(str, range(400))))


def test_a_short_refrain_does_not() -> None:
    assert not runs_in_circles("ha " * 20)


def test_a_new_turn_repeats_nothing() -> None:
    assert n_repeats(["a", "b", "c"]) == 0


def test_the_same_turn_again_is_counted() -> None:
    assert n_repeats(["x", "a", "a", "a"]) == 2


def test_cycles_of_turns_are_counted() -> None:
    assert n_repeats(["a", "b", "a", "b", "a", "b"]) == 2
    assert n_repeats(["x", *"abcabcabc"]) == 2


def test_nothing_repeats_before_the_first_turn() -> None:
    assert n_repeats([]) == 0


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(2, 6))
def test_copies_at_the_end_are_never_missed(head: list[str], n_copies: int) -> None:
    assert n_repeats([*head, *(["z"] * n_copies)]) >= n_copies - 1


@given(st.text(max_size=2000))
def test_any_text_has_an_answer(text: str) -> None:
    runs_in_circles(text)
