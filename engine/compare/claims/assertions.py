"""Which parts of a prose assert something: intentions, suppositions and questions do not. Pure."""

import re
from bisect import bisect_left
from functools import cached_property

import msgspec

from engine.compare.claims.lexicon import Mention, mentions
from engine.compare.claims.prose import Prose
from engine.compare.claims.subjects import Places

_INTENDED = (
    r"(?:I|we)(?:'ll|'d| will| shall| am going to| are going to| want to| plan to| need to"
    r"| intend to| would| can| could| should| must| may| might| try to)"
    r"|let me|let's|let us|going to|in order to|to (?:see|find out|check|verify|confirm|test)\b"
    r"|(?:I|we) (?:now |then |next |first |also )?(?:look|measure|compare|check|ask|list|read|store"
    r"|take|use|start|begin|go on|examine|inspect|try)\b|I'm going to"
)
_REPORTED = (
    r"(?!(?: now| also| briefly)? (?:summari[sz]e|report|conclude|state|say|recap|note|present))"
)
_SUPPOSED = (
    r"suppose|assum(?:e|ing|ption)|expect|hypothes|perhaps|maybe|probably|possibly|presumably|likely"
    r"|guess|might|could be|would|should|if|whether|unless|typical(?:ly)?|usually|in general"
    r"|generally|for example|for instance|e\.g|such as|imagine|hypothetical|believe|unknown|unclear"
    r"|(?:do|does|did|is|are|was|were|has|have|had)(?: not|n't)|never|cannot|can't"
    r"|instead of|unlike"
)
_MARK = re.compile(rf"\b(?=[a-z])(?:(?:{_INTENDED}){_REPORTED}|(?:{_SUPPOSED}))\b", re.IGNORECASE)
_ANNOUNCED = re.compile(r"[\s*#>-]{0,8}(?:Next|Now)\b(?!,? (?:I|we) (?:know|have|see|found))")


class Reading(msgspec.Struct, frozen=True, dict=True):
    """A prose with all that is needed to tell what it asserts, found once."""

    prose: Prose

    @property
    def text(self) -> str:
        """The text, what is no prose blanked out."""
        return self.prose.text

    @cached_property
    def places(self) -> Places:
        """Where it names layers, heads and parts."""
        return Places(self.text)

    @cached_property
    def mentions(self) -> list[Mention]:
        """The quantities that it names, in their order."""
        return list(mentions(self.text))

    @cached_property
    def _mention_ends(self) -> list[int]:
        return [each.end for each in self.mentions]

    @cached_property
    def _marks(self) -> list[int]:
        return [found.start() for found in _MARK.finditer(self.text)]

    def mentions_before(self, place: int, since: int) -> list[Mention]:
        """Return the last few quantities named between `since` and `place`."""
        last = bisect_left(self._mention_ends, place + 1)
        return [each for each in self.mentions[max(0, last - 6) : last] if each.start >= since]

    def asserts(self, place: int, sentence: tuple[int, int]) -> bool:
        """Tell whether what stands at `place` is said to be so."""
        start, end = sentence
        if self.text[start:end].rstrip(" \"'*)_").endswith("?"):
            return False
        if _ANNOUNCED.match(self.text, start, place):
            return False
        mark = bisect_left(self._marks, start)
        return mark == len(self._marks) or self._marks[mark] >= place
