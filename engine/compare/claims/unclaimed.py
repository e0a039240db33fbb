"""Numbers that claim nothing: of places, items and progress, and counts of chosen ones. Pure."""

import re

from engine.compare.claims.numerals import Numeral

_PLACE_WORDS = (
    "layer|block|head|turn|step|experiment|phase|index|position|token|row|column|figure|table|section"
    "|part|question|hypothesis|version|seed|top|stage|chapter|dimension|unit|neuron|run|example|point"
    "|case|option|iteration|round|finding|observation"
)
_PLACE = re.compile(
    rf"\b(?:{_PLACE_WORDS})s?[ #_*:-]{{0,2}}"
    r"(?:\d{1,6}[ ,]{0,3}(?:(?:and|to|or|through|&|\u2013|-)[ ]?)?){0,8}$",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\b(?:section|version|figure|table|chapter|appendix|v)\.? ?$", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t>#*_(|-]{0,8}\Z", re.MULTILINE)
_ITEM_CHARS = 8
_ITEM_END = re.compile(r"(?:[.)]|\*\*[.)]?|:)(?:\s|\*)")
_BRACKET = re.compile(r"[()]")
_REMARK_CHARS = 400
"""How far back a bracket that is still open is looked for."""
_PROGRESS = re.compile(
    r"\s?(?:(?:of|out of|/) ?\d{1,4} )?(?:more |further |other |remaining |code )?(?:turns?|steps?"
    r"|experiments?|stages?|phases?|code blocks?|lines?|minutes?|attempts?|replies|reply|words?"
    r"|characters?|findings?|observations?|times? (?:in|more|already)|main|things?"
    r"|ways?|reasons?|kinds?|questions?)\b",
    re.IGNORECASE,
)
_PARTIAL = re.compile(
    r"\b(?:first|last|these|those|other|next|remaining|top|bottom|both|another|of the|each of"
    r"|selected|compared?|look(?:ed|ing)? at|examined?|measured|checked|sampled|picked|inspected"
    r"|printed|listed|queried|between|across|every|for|on|at|not|nor|rather than)"
    r"(?: the| my| all)? $",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:\b(?:between|from) [\d.,]{1,20}[a-z]?(?: \w{1,20})? (?:and|to)|\d[-\u2013]) ?$",
    re.IGNORECASE,
)
_ROW = re.compile(r"\blayers?\b[^.;\n]{0,30}?:[\d, ]{0,40}(?:and )?$", re.IGNORECASE)
_YEARS = range(1950, 2041)


def is_unclaimed(
    text: str, number: Numeral, sentence: tuple[int, int], *, is_counted: bool, is_named: bool
) -> bool:
    """Tell whether a number claims nothing; `is_named`: its quantity is named right beside it."""
    if not is_named and _is_place(text, number, sentence):
        return True
    if _PROGRESS.match(text, number.end):
        return True
    return is_counted and _counts_some(text, number, sentence)


def _is_place(text: str, number: Numeral, sentence: tuple[int, int]) -> bool:
    """Tell whether a number names a place or an item: "layer 3", "2.", "(1)", "1)"."""
    is_first = _ITEM.search(text, max(0, number.start - _ITEM_CHARS), number.start) is not None
    if is_first and _ITEM_END.match(text, number.end):
        return True
    before = text[max(sentence[0], number.start - 80) : number.start]
    places = _PLACE if number.is_integer else _SECTION
    if places.search(before):
        return True
    if _is_listed(text, number, sentence):
        return True
    is_year = number.is_integer and number.value in _YEARS and "," not in number.text
    return is_year or _ROW.search(before) is not None


def _is_listed(text: str, number: Numeral, sentence: tuple[int, int]) -> bool:
    """Tell whether a bracket behind a number makes it an item, "1)", "(1)": it ends no remark."""
    if number.is_telling or not number.is_integer or not text.startswith(")", number.end):
        return False
    before = text[max(sentence[0], number.start - _REMARK_CHARS) : number.start]
    return before.endswith("(") or not _n_open(before)


def _n_open(text: str) -> int:
    """Return how many brackets are open at the end; "1)" closes none."""
    n_open = 0
    for bracket in _BRACKET.findall(text):
        n_open = n_open + 1 if bracket == "(" else max(0, n_open - 1)
    return n_open


def _counts_some(text: str, number: Numeral, sentence: tuple[int, int]) -> bool:
    """Tell whether a count is one of some chosen ones, or of a range: "I compared 3 layers"."""
    before = text[max(sentence[0], number.start - 40) : number.start]
    if _RANGE.search(before):
        return True
    if number.is_telling:
        return False
    if number.is_word and before.endswith("the "):
        return True
    return _PARTIAL.search(before) is not None
