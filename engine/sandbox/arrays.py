"""Arrays among the answers to model code: which there are, and what the record says of them.

The record holds no numbers of an array, only its `Description`; whoever needs them later asks again
and compares.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeGuard, cast

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import CapabilityError

Arrays = Mapping[str, npt.NDArray[Any]]

WHOLE = ""
"""Stands for the key of an array that is all of an answer."""

_KINDS = "biuf"
"""numpy's letters for booleans, integers with and without sign, and floating-point numbers."""
_MAX_ITEM_BYTES = 8
"""Longer numbers are padded with whatever was in the host's memory."""
_DIGEST_BYTES = 16


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array in the record."""

    dtype: str
    """As numpy writes it, byte order included: "<f4"."""
    shape: tuple[int, ...]
    blake2b: str
    """Hexadecimal digest (16 bytes) of the numbers in C order."""


class _Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the record has in the place of an array."""

    array: Description


def arrays_in(answer: object) -> Arrays:
    """Return the arrays of an answer in C order: the whole answer, or values of a dictionary.

    Raises:
        CapabilityError: one does not hold plain numbers.
    """
    if isinstance(answer, np.ndarray):
        return {WHOLE: _plain(cast("npt.NDArray[Any]", answer))}
    if not isinstance(answer, dict):
        return {}
    entries = cast("dict[object, object]", answer).items()
    return {
        key: _plain(value) for key, value in entries if isinstance(key, str) and _is_array(value)
    }


def described(arrays: Arrays) -> dict[str, Description]:
    """Return the description of each array."""
    return {key: _description(array) for key, array in arrays.items()}


def recorded(answer: object, descriptions: Mapping[str, Description]) -> object:
    """Return `answer` as the record has it, each array replaced by its description."""
    places = {key: msgspec.to_builtins(_Described(one)) for key, one in descriptions.items()}
    if isinstance(answer, np.ndarray):
        return places[WHOLE]
    return cast("dict[str, object]", answer) | places if places else answer


def is_description(answer: object) -> bool:
    """Tell whether a recorded answer has a description where there was an array."""
    if _is_described(answer):
        return True
    values = cast("dict[str, object]", answer).values() if isinstance(answer, dict) else ()
    return any(map(_is_described, values))


def as_recorded(answer: object) -> object:
    """Return what the record would say of `answer`, whether or not it holds arrays.

    Raises:
        CapabilityError: an array does not hold plain numbers.
    """
    plain = recorded(answer, described(arrays_in(answer)))
    return msgspec.json.decode(msgspec.json.encode(plain))


def _is_array(value: object) -> TypeGuard[npt.NDArray[Any]]:
    return isinstance(value, np.ndarray)


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > _MAX_ITEM_BYTES:
        raise CapabilityError("TypeError", f"an array of {array.dtype} cannot be passed")
    return np.asarray(array, order="C")


def _description(array: npt.NDArray[Any]) -> Description:
    digest = hashlib.blake2b(array.reshape(-1).view(np.uint8).data, digest_size=_DIGEST_BYTES)
    return Description(array.dtype.str, array.shape, digest.hexdigest())


def _is_described(value: object) -> bool:
    try:
        msgspec.convert(value, _Described)
    except msgspec.ValidationError:
        return False
    return True
