"""When a namespace that was brought back counts as the one of before."""

from collections.abc import Mapping

import pytest

from engine.revival import Revival
from engine.transcript import Execution


async def _answer(_method: str, _arguments: Mapping[str, object]) -> object:
    return None


class Printing:
    """A workspace in which every block prints the same."""

    def __init__(self, output: str) -> None:
        self._output = output

    def give(self, modules: Mapping[str, str]) -> None:
        """Take nothing."""

    async def execute(self, code: str) -> Execution:
        return Execution(code=code, output=self._output)


async def _is_exact(before: str, again: str) -> bool:
    revival = Revival([Execution(code="print(x)", output=before)], _answer)
    return await revival.run(Printing(again))


@pytest.mark.parametrize(
    "shown",
    [
        "<function f at {}>\n",
        "[<__main__.Probe object at {}>, <generator object g at {}>]\n",
        "ValueError: <__main__.Q object at {}>\n",
    ],
)
async def test_an_object_printed_with_another_address_is_the_same(shown: str) -> None:
    one, other = (shown.replace("{}", address) for address in ("0x7f12ab", "0x7f98cd00"))
    assert await _is_exact(one, other)


async def test_another_object_is_not_the_same() -> None:
    assert not await _is_exact("<function f at 0x7f12ab>\n", "<function g at 0x7f12ab>\n")


async def test_other_numbers_are_not_the_same() -> None:
    assert not await _is_exact("0x7f12ab\n", "0x7f98cd\n")
