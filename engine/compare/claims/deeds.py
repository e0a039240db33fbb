"""Claims that are actions: something is said to be done. Was there such a call? Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.compare.claims.assertions import Reading
from engine.compare.claims.facts import is_of_texts
from engine.compare.claims.values import Source
from engine.requirements import FINDING_CALL
from engine.transcript import Call, Execution

_LATELY = r"(?: (?:also|now|just|already|successfully|then|have|carefully))*"
_NOTES = "finding|observation|insight|conclusion|result|discover(?:y|ie)|theor(?:y|ie)|pattern|note"
_OWN_NOTES = (
    r"(?:my|our|this|these|those|the above|all(?: of)?(?: my| our| these| those| the)?)"
    rf"(?: [\w'-]{{1,20}}){{0,2}}? (?:{_NOTES})s?"
)
_WHOLE = r"(?:everything|all of (?:this|that|it|them))"
_IS = r"(?:is|are|was|were)"
_DONE = (
    rf"(?:(?:has|have)(?: now| already| all| successfully){{0,3}} been|{_IS} (?:now|already|all))"
)
"""Of an act; what "is stored" in a model is so without one."""
_KEPT = r"(?: now| already| all| successfully){0,3} (?:recorded|stored|saved|logged)\b"
_MEMORY = (
    r"(?:my |our |your |the )?(?:long-term |persistent )?"
    r"(?:memory|memories|notes?|findings|database|journal)\b"
)
_ELSEWHERE = (
    r"(?! (?:in|inside|within|across|per|by|as|on|at|for each|once|every)\b"
    rf"(?! {_MEMORY}))"
)
_NOTHING = r"(?! (?:nothing|no|none|neither)\b)"
_IN_CODE = (
    r"(?![^.!?\n]{0,60} in (?:an? |the |my )?(?:`|(?:variable|list|dict|array|tensor)\b(?! of)))"
)
_STORED = re.compile(
    rf"\bI(?:'ve)?{_LATELY} (?:recorded|stored|saved|logged)\b{_NOTHING}{_IN_CODE}[^.!?\n]{{0,80}}"
    rf"|\b(?:(?:{_OWN_NOTES}(?: [\w']{{1,20}}){{0,5}}?|{_WHOLE})"
    rf" (?:{_IS}|{_DONE}){_KEPT}{_ELSEWHERE}"
    rf"|(?:the (?:{_NOTES})s?(?: [\w']{{1,20}}){{0,5}}?|this|these|they|it)"
    rf" (?:{_DONE}{_KEPT}{_ELSEWHERE}|{_IS}{_KEPT}(?= (?:in|to) {_MEMORY})))"
    r"|(?:^|(?<=[.!\n])\s)[ \t*-]{0,4}(?:successfully )?(?:recorded|stored|saved)\b"
    rf"{_ELSEWHERE}[^.!?\n]{{0,80}}"
    r"|\bmemory (?:now )?has (?:them|it|this|these)\b",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS_OF_STORED = ("recorded", "stored", "saved", "logged", "memory")
"""Without one of them nothing is said to be stored, and no need to look for it."""
_RAN = re.compile(
    rf"\bI(?:'ve)?{_LATELY} (?:(?P<ran>ran|run|executed|called|invoked|queried)|measured|computed"
    rf"|calculated|tested|examined|inspected|analy[sz]ed|compared)\b{_NOTHING}[^.!?\n]{{0,80}}",
    re.IGNORECASE,
)
_READ = re.compile(
    rf"\bI(?:'ve)?{_LATELY} read\b(?: [\w']+){{0,4}}? (?P<what>documents?|heritage|notes?|findings?"
    r"|observations?)\b",
    re.IGNORECASE,
)
_FUNCTION = re.compile(r"`?(?:[a-z_]+\.)*(?P<name>[a-z]+(?:_[a-z0-9]+)+)\b(?:\(|`)?")
_FINDERS = ("memory.query_", "memory.get_memory_summary", "memory.list_categories")
_READERS = ("heritage.read_document", "heritage.query_documents")
_STORERS = (
    FINDING_CALL,
    "heritage.save_reflection",
    "heritage.record_discovery",
    "heritage.create_message_to_claude",
)


class DeedClaim(NamedTuple):
    """Something that is said to be done."""

    start: int
    end: int
    kind: str
    """"stored", "ran", "measured", "read documents" or "read findings"."""
    function: str | None = None
    """Name of the function that is said to be run."""


class Deeds:
    """What an investigation has done so far; grows by whole turns."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self._last: dict[str, Source] = {}
        self._code: list[str] = []

    def take(self, turn: int, executions: Sequence[Execution]) -> None:
        """Add what was executed in a turn."""
        for place, execution in enumerate(executions):
            self._last["ran"] = Source(turn=turn, execution=place, shown="executed")
            self._code.append(execution.code)
            for number, call in enumerate(execution.calls):
                source = Source(turn=turn, execution=place, call=number, shown=call.method)
                self._last[call.method.rpartition(".")[2]] = source
                if kind := _kind_of(call) if not call.error else None:
                    self._last[kind] = source

    def can_tell(self, claim: DeedClaim) -> bool:
        """Tell whether there is a verdict: code alone may have measured, or not."""
        is_open = claim.kind == "measured" and not claim.function and "ran" in self._last
        return not is_open or "measured" in self._last

    def proof_of(self, claim: DeedClaim) -> Source | None:
        """Return the last thing done that makes the claim true."""
        if claim.function:
            is_in_code = any(claim.function in code for code in reversed(self._code))
            return self._last.get(claim.function) or (self._last.get("ran") if is_in_code else None)
        return self._last.get(claim.kind)


def _kind_of(call: Call) -> str | None:
    if call.method in _STORERS:
        return "stored"
    if call.method in _READERS:
        return "read documents"
    if call.method.startswith(_FINDERS):
        return "read findings"
    return None if is_of_texts(call) else "measured"


def deed_claims(reading: Reading) -> Iterator[DeedClaim]:
    """Yield what a text says was done; intentions are none."""
    folded = reading.text.casefold()
    is_stored = any(word in folded for word in _WORDS_OF_STORED)
    for found in _STORED.finditer(reading.text) if is_stored else ():
        if _asserted(reading, found):
            yield DeedClaim(found.start(), found.end(), "stored")
    for found in _RAN.finditer(reading.text):
        if _asserted(reading, found):
            function = _FUNCTION.search(found[0])
            name = function["name"] if function else None
            kind = "ran" if found["ran"] else "measured"
            yield DeedClaim(found.start(), found.end(), kind, name)
    for found in _READ.finditer(reading.text):
        if _asserted(reading, found):
            is_own = found["what"].lower().startswith(("note", "finding", "observation"))
            yield DeedClaim(
                found.start(), found.end(), "read findings" if is_own else "read documents"
            )


def _asserted(reading: Reading, found: re.Match[str]) -> bool:
    return reading.asserts(found.start(), reading.prose.sentence(found.start()))
