"""Reply text -> action."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actions import (
    Ask,
    Circling,
    Cut,
    Empty,
    Finish,
    Malformed,
    Nothing,
    RunCode,
    code_blocks,
    own_part,
    parse,
)
from engine.phase import ReplyRules

RULES = ReplyRules(done_phrases=("experiment complete",))


def test_one_python_block_is_run() -> None:
    assert parse("Look:\n```python\nprint(1)\n```\n", "stop", RULES) == RunCode(("print(1)\n",))


def test_several_blocks_are_run_in_order() -> None:
    text = "```python\na = 1\n```\nthen\n```py\nprint(a)\n```"
    assert parse(text, "stop", RULES) == RunCode(("a = 1\n", "print(a)\n"))


@pytest.mark.parametrize(
    "tag", ["python", "Python", "py", "python3", "", "python title=x", "{.python}"]
)
def test_python_tags_are_recognised(tag: str) -> None:
    assert code_blocks(f"```{tag}\nx = 1\n```") == ("x = 1\n",)


@pytest.mark.parametrize("tag", ["json", "text", "bash", "output"])
def test_other_languages_are_not_code(tag: str) -> None:
    assert parse(f"```{tag}\nx\n```", "stop", RULES) == Nothing()


def test_a_json_block_before_python_does_not_swap_prose_and_code() -> None:
    text = '```json\n{"a": 1}\n```\nprose between\n```python\nprint(2)\n```'
    assert code_blocks(text) == ("print(2)\n",)


def test_tilde_fences_and_list_indented_fences_are_read() -> None:
    assert code_blocks("~~~python\na\n~~~\n- item\n  ```python\n  b\n  ```\n") == ("a\n", "b\n")


def test_a_fence_inside_a_longer_fence_stays_text_of_the_block() -> None:
    assert code_blocks('````python\ns = """\n```\n"""\n````') == ('s = """\n```\n"""\n',)


def test_a_block_left_open_is_run_when_the_model_stopped_by_itself() -> None:
    assert parse("```python\nprint(1)", "stop", RULES) == RunCode(("print(1)",))


def test_nothing_of_a_reply_cut_by_length_is_run() -> None:
    assert parse("```python\nprint(1)\n```\n```python\nimport os; os.rem", "length", RULES) == Cut()


def test_a_fence_opened_in_the_middle_of_a_line_is_malformed() -> None:
    assert parse("Run this: ```python print(1)``` now.", "stop", RULES) == Malformed()


def test_a_done_phrase_on_its_own_line_finishes() -> None:
    assert parse("All is said.\n\n**Experiment complete.**", "stop", RULES) == Finish()


def test_a_done_phrase_inside_a_sentence_does_not_finish() -> None:
    assert parse("Once the experiment complete is, I go on.", "stop", RULES) == Nothing()


def test_code_beside_a_done_phrase_is_still_run() -> None:
    text = "```python\nprint(1)\n```\nExperiment complete"
    assert parse(text, "stop", RULES) == RunCode(("print(1)\n",), is_done=True)


def test_a_question_at_the_end_asks() -> None:
    assert parse("Shall I go on?", "stop", RULES) == Ask()


def test_a_question_long_before_the_end_does_not_ask() -> None:
    assert parse("Why? " + "x" * 300, "stop", RULES) == Nothing()


def test_an_empty_reply_is_empty() -> None:
    assert parse(" \n", "stop", RULES) == Empty()


def test_a_reply_cut_while_it_said_one_thing_over_and_over_is_circling() -> None:
    assert parse("I look at the layers again. " * 40, "length", RULES) == Circling()


FOREIGN = ReplyRules(foreign_marks=("User:", "Output:"))


def test_what_the_model_writes_for_somebody_else_is_not_its_own() -> None:
    own = "Look.\n```python\nprint(1)\n```\n"
    assert own_part(own + "Output:\n1\n\nUser: go on", FOREIGN) == own


def test_marks_inside_code_are_the_models_own() -> None:
    text = "```python\nprint('''\nUser: x\n''')\n```\ndone"
    assert own_part(text, FOREIGN) == text


@pytest.mark.parametrize(
    "own",
    [
        "```print(1)``` prints one.\n",
        "- ```python\n  a()\n  ```\n",
        "1. ```python\n   a()\n   ```\n",
        "````\n```\n````\n",
        "````\n```\n````\r\n",
    ],
)
def test_what_follows_any_form_of_code_is_seen_to_be_foreign(own: str) -> None:
    assert own_part(own + "Output:\n1\n```python\ninvented()\n```", FOREIGN) == own


@given(st.text())
def test_the_own_part_is_always_a_beginning(text: str) -> None:
    assert text.startswith(own_part(text, FOREIGN))


@given(st.text())
def test_any_text_has_an_action(text: str) -> None:
    parse(text, "stop", RULES)


@given(
    st.text(alphabet=st.characters(blacklist_characters="`~\r", blacklist_categories=["Cs", "Cc"]))
)
def test_a_fenced_line_comes_back_as_it_was(line: str) -> None:
    blocks = code_blocks(f"```python\n{line}\n```")
    assert blocks == ((line + "\n",) if line.strip() else ())
