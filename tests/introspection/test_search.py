"""Which texts hold the words of a query, and on which thread that is found out."""

import threading
from typing import SupportsIndex, overload

from engine.introspection.search import BRIEF_CHARS, WordIndex


class Texts(list[str]):
    """Tells who took a slice, and what was added just after that."""

    def __init__(self, texts: list[str], *, late: str | None = None) -> None:
        super().__init__(texts)
        self.late = late
        self.readers: list[int] = []

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> str: ...
    @overload
    def __getitem__(self, place: slice, /) -> list[str]: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> str | list[str]:
        found = super().__getitem__(place)
        self.readers.append(threading.get_ident())
        if self.late is not None:
            late, self.late = self.late, None
            self.append(late)
        return found


async def test_little_text_is_searched_at_once() -> None:
    texts = Texts(["x" * BRIEF_CHARS])
    await WordIndex().search("x", texts)
    assert texts.readers == [threading.get_ident()]


async def test_much_text_is_searched_beside_the_event_loop() -> None:
    texts = Texts(["x" * BRIEF_CHARS, "sharp"])
    assert await WordIndex().search("sharp", texts) == [1]
    assert threading.get_ident() not in texts.readers


async def test_text_that_has_grown_long_is_searched_beside_the_event_loop() -> None:
    index, texts = WordIndex(), Texts(["flat"])
    assert await index.search("flat", texts) == [0]
    texts += ["x" * BRIEF_CHARS, "sharp"]
    texts.readers.clear()
    assert await index.search("sharp", texts) == [2]
    assert threading.get_ident() not in texts.readers


async def test_what_is_added_while_a_search_runs_is_found_by_the_next() -> None:
    index, texts = WordIndex(), Texts(["x" * BRIEF_CHARS, "flat"], late="sharp")
    assert await index.search("sharp", texts) == []
    assert await index.search("sharp", texts) == [2]


async def test_a_word_of_a_query_is_the_beginning_of_those_it_finds() -> None:
    texts = ["the softmax is sharp", "a soft spread", "sof"]
    assert set(await WordIndex().search("soft", texts)) == {0, 1}


async def test_a_word_of_one_or_two_letters_finds_itself_alone() -> None:
    texts = ["layers", "la", "l"]
    index = WordIndex()
    assert await index.search("la", texts) == [1]
    assert await index.search("l", texts) == [2]


async def test_short_words_of_scripts_without_spaces_begin_others() -> None:
    assert await WordIndex().search("模型", ["模型有四层", "层"]) == [0]
