"""Whether a figure is said of the whole model, of some layers or heads, or not clearly. Pure."""

import re
from typing import Literal

from engine.compare.claims.lexicon import Mention
from engine.compare.claims.numerals import Numeral

Scope = Literal["whole", "some", "unclear"]

_CHARS = 120
"""How far before a number the words stand that say whose it is."""
_MODEL = (
    r"(?:the|this|my|our) (?:(?:whole|full|entire|language|transformer|neural|causal|loaded"
    r"|decoder(?:-only)?) ){0,2}(?:model|network|transformer|architecture|checkpoint)"
)
_HAS = (
    r"(?:have|has|consists? of|comprises?|contains?|uses|features?|includes?"
    r"|(?:am|is) (?:made(?: up)?|built|composed) (?:of|from))"
)
_KIND = r"(?:(?!of |than |like |to |from |not )[\w.-]{1,20} ){1,5}"
_SO_MUCH = (
    r"(?:[ *_`~≈<>=]|\b(?:a|total of|exactly|precisely|only|just|about|approximately|roughly"
    r"|around|nearly|almost|some|over|under|up to|at least|at most|more than|(?:less|fewer) than"
    r"|no (?:more|less|fewer) than)\b){0,10}$"
)
_OWNED = re.compile(
    rf"\b(?:(?:(?:I|{_MODEL})(?: (?:also|itself|thus|therefore|then))?,? {_HAS})"
    rf"|(?:I am|I'm|{_MODEL} is) an? {_KIND}with|(?:in total|altogether|overall),? there are)\b"
    rf"{_SO_MUCH}",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?:each|every)(?: of them)?(?: (?:(?:attention|decoder|transformer) )?(?:layer|block))?,? "
    rf"(?:has|have|with|having|contains|uses)\b{_SO_MUCH}",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"^[\s>*#|_\d.)-]{0,12}(?:depth|width|architecture|structure|(?:number of )?(?:layers|heads)"
    rf"|(?:model )?size|parameters)[*_]{{0,2}}(?::| \|)[*_]{{0,2}}{_SO_MUCH}",
    re.IGNORECASE | re.MULTILINE,
)
_THERE = re.compile(rf"\bthere are\b{_SO_MUCH}", re.IGNORECASE)
_IN_ALL = rf"(?:in total|altogether|overall|in {_MODEL})\b(?! (?:that|which|whose|where|with)\b)"
_IN_THE_MODEL = re.compile(
    rf"[*_`]{{0,2}}(?: {_IN_ALL}|, each (?:with|having) \d+ (?:\w+ )?heads\b)", re.IGNORECASE
)
_LISTED = re.compile(
    r"(?:[ *_`]{1,3}[A-Za-z][A-Za-z-]{0,20}){0,4}[*_`]{0,2}(?:,| and\b| with\b)"
    r"(?: (?:and|with|each|having|an?|hidden size of|hidden dimension of))*"
    rf"{_SO_MUCH}",
    re.IGNORECASE,
)
_LISTED_CHARS = 70
_CLOSED = re.compile(
    r"[*_`\"']{0,3}(?:\s*\Z|\s*[.;!?)|\n]|,(?! ?\d+(?:,| and \d))| [-\u2013\u2014] | ?/"
    r"| \((?!\d+(?:,| and))| (?:and|or|but|each|per|as (?:shown|seen|printed|reported|well)"
    r"|according|stacked|spread|distributed|arranged|organi[sz]ed|numbered|plus|while|because|since"
    r"|that (?:would|makes?|means|gives)|with (?:a hidden|a vocab|a total|\d+|two|seven|fourteen)"
    rf"|of (?:size |dimension )?\d+)\b| {_IN_ALL})",
    re.IGNORECASE,
)
_FAMILIES = (
    *("gpt", "llama", "mistral", "mixtral", "bert", "t5", "phi", "gemma", "gemini", "falcon"),
    *("opt", "bloom", "pythia", "qwen", "deepseek", "claude", "palm"),
)
_FAMILY = re.compile(
    rf"\b(?:distil|ro|al|de|chat|code|tiny)?(?:{'|'.join(_FAMILIES)})a?(?:[\d.-][\w.-]{{0,20}})?\b",
    re.IGNORECASE,
)
_KINDS = ("model", "transformer", "network", "variant", "version")
_ANOTHER = re.compile(
    r"\b(?:\d{1,4}(?:\.\d)?[BM]|(?:(?<!I am )(?<!I'm )(?<!model is )(?<!As )an?|another|other"
    r"|standard|typical|vanilla|larger|smaller|bigger|original|most|many)(?: [a-z-]{1,20}){0,2})"
    rf" (?:{'|'.join(_KINDS)})s?\b",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:I|me|my)\b", re.IGNORECASE)
_LINK = re.compile(rf" (?:of|in|for) {_MODEL}(?: (?:is|was)|:| =) {_SO_MUCH}", re.IGNORECASE)
_LENGTH = re.compile(r"(?:(?P<of_text>sequence)|context)\b", re.IGNORECASE)
_ONE = re.compile(r"\b(?:an?|this|that|each|every)\s$", re.IGNORECASE)
_ONE_CHARS = 8
_VOCABULARY = re.compile(r"vocabulary$", re.IGNORECASE)
_WORDS = re.compile(
    r"(?: (?:total|distinct|unique|different))?(?: (?:tokens|entries|words|items))?"
)
_BARE = re.compile(r"(?:(?:attention|query) )?(?:layers|heads|parameters)$", re.IGNORECASE)
_BARE_START = re.compile(
    r"(?:^|[|,;:({\[])[\s*_`>#'\"\d.)-]{0,10}(?:(?:total|hidden|decoder|transformer|attention|query"
    r"|model|key-value|kv|my|the) ){0,3}$",
    re.IGNORECASE | re.MULTILINE,
)
_ROW_GOES_ON = re.compile(r" ?(?:,|and|to|-|\u2013) ?\d")
_OF_MORE = re.compile(r" ?(?:of|out of|/) ?(?:the )?\d")


def scope_of_count(
    text: str, number: Numeral, noun: Mention, since: int, *, goes_on: bool
) -> Scope:
    """Return of what `number` counts the `noun` behind it; `goes_on`: in a list of the model's."""
    is_closed = _CLOSED.match(text, noun.end) is not None
    is_owned = goes_on or _is_owned(text, number, since, noun)
    if is_owned:
        is_whole = is_closed and not _is_of_another(text, since, number.start)
        return "whole" if is_whole else "unclear"
    is_remark = text.endswith("(", 0, number.start)
    return "unclear" if is_closed and not is_remark else "some"


def scope_of_named(
    text: str, number: Numeral, mention: Mention, since: int, *, is_direct: bool
) -> Scope:
    """Return whether a quantity that is named before its number is that of the model."""
    is_bare = _BARE.fullmatch(text, mention.start, mention.end) is not None
    if is_direct and is_bare and _ROW_GOES_ON.match(text, number.end):
        return "some"
    if not (is_direct or _LINK.fullmatch(text, mention.end, number.start)):
        return "unclear"
    is_clear = _begins_row(text, mention) if is_bare else _is_of_a_model(text, number, mention)
    return "whole" if is_clear and not _is_of_another(text, since, mention.start) else "unclear"


def is_next(text: str, last_end: int, start: int) -> bool:
    """Tell whether the text between two numbers makes them items of one list."""
    is_near = start - last_end <= _LISTED_CHARS
    return is_near and _LISTED.fullmatch(text, last_end, start) is not None


def _is_owned(text: str, number: Numeral, since: int, noun: Mention) -> bool:
    """Tell whether the words around a count say that the model has so many: "I have 24 layers"."""
    before = text[max(since, number.start - _CHARS) : number.start]
    if _OWNED.search(before) or _LABELLED.search(before):
        return True
    if noun.quantity in {"n_attention_heads", "n_key_value_heads"} and _EACH.search(before):
        return True
    return bool(_THERE.search(before) and _IN_THE_MODEL.match(text, noun.end))


def _is_of_another(text: str, since: int, place: int) -> bool:
    """Tell whether another model is named before `place`, and not the one that speaks behind it."""
    before = text[since:place]
    folded = before.lower()
    is_family = any(name in folded for name in _FAMILIES)
    found = [*_FAMILY.finditer(before)] if is_family else []
    if any(kind in folded for kind in _KINDS):
        found += _ANOTHER.finditer(before)
    last = max((each.end() for each in found), default=None)
    return last is not None and not _OWN.search(before, last)


def _begins_row(text: str, mention: Mention) -> bool:
    """Tell whether nothing says which layers or heads these are: not "sampled layers: 3"."""
    before = text[max(0, mention.start - _CHARS) : mention.start]
    return _BARE_START.search(before) is not None


def _is_of_a_model(text: str, number: Numeral, mention: Mention) -> bool:
    """Tell whether a model has one such size: a text has a length too, a vocabulary rare words."""
    if _OF_MORE.match(text, number.end):
        return False
    if length := _LENGTH.match(text, mention.start):
        before = text[max(0, mention.start - _ONE_CHARS) : mention.start]
        return not length["of_text"] and not _ONE.search(before)
    if _VOCABULARY.fullmatch(text, mention.start, mention.end):
        words = _WORDS.match(text, number.end)
        return _CLOSED.match(text, words.end() if words else number.end) is not None
    return True
