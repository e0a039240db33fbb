"""Names of layers and parameters: their order, patterns, and what a wrong one may have meant."""

import difflib
from collections.abc import Iterable, Sequence

from engine.errors import CapabilityError

_RANKS = {
    name: rank
    for rank, names in enumerate(
        (
            ("embed_tokens", "wte", "weight", "q_proj", "qkv_proj", "gate_proj", "gate_up_proj"),
            ("bias", "k_proj", "up_proj", "wpe", "self_attn"),
            ("v_proj", "down_proj", "mlp", "layers", "h"),
            ("o_proj", "input_layernorm", "model"),
            ("post_attention_layernorm", "norm", "lm_head"),
        )
    )
    for name in names
}
_LAST = 5
_MAX_NAME = 200


def in_model_order(names: Iterable[str]) -> list[str]:
    """Return `names` as a forward pass meets them; numbers count as numbers."""
    return sorted(names, key=lambda name: [_part_key(part) for part in name.split(".")])


def _part_key(part: str) -> tuple[int, int, str]:
    if part.isdecimal():
        return (0, int(part), "")
    return (_RANKS.get(part, _LAST), 0, part)


def pattern_of(name: str) -> str:
    """Return `name` with the numbers between dots replaced by `*`."""
    return ".".join("*" if part.isdecimal() else part for part in name.split("."))


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that contain `pattern`, case aside; `*` in it stands for any text."""
    parts = [part for part in pattern.lower().split("*") if part]
    return [name for name in names if _has_in_order(name.lower(), parts)]


def _has_in_order(text: str, parts: Iterable[str]) -> bool:
    """Tell whether `text` has all `parts`, one behind the other."""
    start = 0
    for part in parts:
        found = text.find(part, start)
        if found < 0:
            return False
        start = found + len(part)
    return True


def check_count(names: Sequence[str], *, most: int) -> None:
    """Refuse a list without names, or with more than `most`.

    Raises:
        CapabilityError: the list is empty or too long.
    """
    if not names:
        raise CapabilityError("ValueError", "the list of names is empty")
    if len(names) > most:
        problem = f"{len(names)} names were given, at most {most} are answered at once"
        raise CapabilityError("ValueError", problem)


def unknown_name(
    what: str, name: str, *, known: Sequence[str], see: str, instead: str | None = None
) -> CapabilityError:
    """Return the error for a name that does not exist, saying what may have been meant.

    `what` is the noun ("layer"), `see` the call that lists the names, `instead` what the name
    really is, if that is known.
    """
    hint = f"; {instead}." if instead else _hint(name[:_MAX_NAME], known)
    return CapabilityError("ValueError", f"no {what} {name[:_MAX_NAME]!r}{hint} See {see}")


def _hint(name: str, known: Sequence[str]) -> str:
    indices = _indices(name, known)
    if indices:
        return f"; {pattern_of(name)} goes from {min(indices)} to {max(indices)}."
    near = [each for each in known if each.endswith(f".{name}")][:1]
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {near[0]!r}?" if near else "."


def _indices(name: str, known: Sequence[str]) -> list[int]:
    pattern = pattern_of(name)
    parts = pattern.split(".")
    if parts.count("*") != 1:
        return []
    place = parts.index("*")
    return [int(each.split(".")[place]) for each in known if pattern_of(each) == pattern]
