"""What is read quickly is what the parser reads."""

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from engine.fences import Fence, fences, parsed_fences, plain_fences

PIECES = [
    *("```", "````", "~~~", "~~~~", "`", "~", "``` ", "```python", "~~~ py x", "``` a`b"),
    *("\n", "\n", "\n\n", " ", "    ", "\t", "\r\n", "\0", "\x0b", "\u2028"),
    *("> ", "- ", "1. ", "* * *", "# ", "===", "<pre>", "</pre>", "<!--", "<div>", "[a]: b", '"'),
    *("print(1)", "x", "text", "</div>", "-->"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=3000, deadline=None)
@example("```python\nprint(1)\n```\n")
@example("- <pre>\n```\nx\n```")
@example('[a]: b\n"\n```\nx\n```')
def test_a_plain_text_has_the_fences_that_the_parser_finds(text: str) -> None:
    plain = plain_fences(text)
    if plain is not None:
        parsed = [Fence(fence.info.strip(), fence.content) for fence in parsed_fences(text)]
        assert [Fence(fence.info.strip(), fence.content) for fence in plain] == parsed


@pytest.mark.parametrize(
    "text",
    ["words\n```python\nx = 1\n```\nwords", "```\na\n```\n~~~py\nb\n```\n~~~\n", "```a\n````  \n"],
)
def test_usual_replies_are_read_without_the_parser(text: str) -> None:
    assert plain_fences(text) == parsed_fences(text)


@pytest.mark.parametrize(
    "text",
    [
        "- item\n  ```python\n  x = 1\n  ```\n",
        "<pre>\n```\nx\n```\n</pre>\n",
        "```python\nnever closed",
        "``` a`b\nx\n```\n",
        "```\r\nx\r\n```\r\n",
        "```python\nprint('```')\n```\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(text: str) -> None:
    assert plain_fences(text) is None
    assert fences(text) == parsed_fences(text)
