"""What goes back to the model."""

import pytest

from engine.observation import observe, shorten
from engine.transcript import NAMESPACE_LOST, Execution, ExecutionError
from engine.verdict import reminder
from phases.load import get_phase

PHASE = get_phase("comparison")
LONG_PHASE = get_phase("1a")


def ran(output: str, error: ExecutionError | None = None) -> Execution:
    return Execution(code="", output=output, error=error)


def test_output_is_shown_under_its_heading() -> None:
    assert observe(PHASE, [ran("3 layers\n")], []) == "Output:\n3 layers"


def test_several_blocks_are_told_apart() -> None:
    text = observe(PHASE, [ran("a"), ran("b")], [])
    assert text == "Block 1 of 2\nOutput:\na\n\nBlock 2 of 2\nOutput:\nb"


def test_silence_brings_the_hint_about_print() -> None:
    assert observe(PHASE, [ran("")], []).endswith("Use print() to see a value.")


def test_a_lost_process_is_said() -> None:
    lost = ran("", ExecutionError(NAMESPACE_LOST, "ran too long"))
    assert "variables, functions and imports are lost" in observe(PHASE, [lost], [])


def test_template_marks_in_output_are_not_rendered() -> None:
    assert "{{ 7 * 7 }}" in observe(PHASE, [ran("{{ 7 * 7 }}")], [])


def test_short_output_is_untouched() -> None:
    assert shorten("x" * 2000) == "x" * 2000


def test_long_text_keeps_both_ends_and_says_how_much_there_was() -> None:
    text = shorten("a" * 3000 + "\n" + "b" * 3000)
    assert text.startswith("a" * 1000)
    assert text.endswith("b" * 1000)
    assert "6001 characters, 2 lines" in text


def test_a_long_list_keeps_its_first_items_and_its_last() -> None:
    text = shorten(repr(list(range(10_000))))
    assert text.startswith("[0, 1, 2,")
    assert "10000 items in all" in text
    assert text.endswith("9998, 9999]")


def test_a_long_dict_keeps_its_first_items() -> None:
    text = shorten(repr({f"key{n}": n for n in range(1000)}))
    assert "'key19': 19" in text
    assert "'key20'" not in text
    assert "1000 items in all" in text


@pytest.mark.parametrize(
    "output",
    [
        "{{" + "'key': 1, " * 300 + "}}",
        "{[1], " + "[2], " * 500 + "}",
        f"[0x{'f' * 6000}, {'0, ' * 30}0]",
        "[" * 3000 + "]" * 3000,
    ],
)
def test_what_only_looks_like_a_literal_is_shortened_as_text(output: str) -> None:
    assert "characters, 1 lines in all" in shorten(output)


def test_the_error_at_the_end_of_a_long_output_is_always_shown() -> None:
    assert shorten("x\n" * 5000 + "ValueError: no layer").endswith("ValueError: no layer")


def test_reminders_come_every_ten_turns_and_at_five_left() -> None:
    due = [used for used in range(1, 50) if reminder(LONG_PHASE, used=used, limit=50)]
    assert due == [10, 20, 30, 40, 45]
