"""Checks the arguments of a call against the signature that the model can see. Pure."""

import inspect
from collections.abc import Mapping
from types import UnionType
from typing import get_args, get_origin

import msgspec

from engine.errors import CapabilityError

MAX_BYTES = 64 * 1024
"""Most bytes that the arguments of one call may have, as JSON."""


def bind(
    method: str, signature: inspect.Signature, arguments: Mapping[str, object]
) -> dict[str, object]:
    """Return `arguments`, defaults filled in, with the types that `signature` declares.

    Raises:
        CapabilityError: a TypeError in Python's words, with a pointer to help().
    """
    name = method.rpartition(".")[2]
    for given in arguments:
        if given not in signature.parameters:
            problem = f"{name}() got an unexpected keyword argument {given!r}"
            raise CapabilityError("TypeError", explained(problem, method))
    return {
        parameter.name: _value(method, parameter, arguments)
        for parameter in signature.parameters.values()
    }


def explained(problem: str, method: str) -> str:
    """Return the text of an error about arguments, with a pointer to help()."""
    return f"{problem}. See help({method})"


def canonical(method: str, arguments: Mapping[str, object]) -> bytes:
    """Return the bytes that stand for this call, whatever the order of its arguments.

    Raises:
        CapabilityError: the arguments are too large.
    """
    encoded = msgspec.json.encode((method, arguments), order="deterministic")
    if len(encoded) > MAX_BYTES:
        problem = f"the arguments have {len(encoded)} bytes, at most {MAX_BYTES} are taken"
        raise CapabilityError("ValueError", problem)
    return encoded


def _value(method: str, parameter: inspect.Parameter, arguments: Mapping[str, object]) -> object:
    name = method.rpartition(".")[2]
    if parameter.name not in arguments:
        if parameter.default is inspect.Parameter.empty:
            problem = f"{name}() missing 1 required argument: {parameter.name!r}"
            raise CapabilityError("TypeError", explained(problem, method))
        return parameter.default
    value = arguments[parameter.name]
    try:
        return msgspec.convert(value, parameter.annotation)
    except msgspec.ValidationError as error:
        wanted = inspect.formatannotation(parameter.annotation)
        problem = f"{name}() argument {parameter.name!r} must be {wanted}"
        # Where the outer type is right, something inside it is not.
        is_inside = type(value) in _outer_types(parameter.annotation)
        problem += f": {error}" if is_inside else f", not {type(value).__name__}"
        raise CapabilityError("TypeError", explained(problem, method)) from error


def _outer_types(annotation: object) -> set[object]:
    """Return what a value itself may be, whatever is in it."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return {get_origin(kind) or kind for kind in kinds}
