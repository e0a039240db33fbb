"""Figures of arrays that a probe hands over: norms, likeness, entropies. Pure."""

import math

import numpy as np

from engine.introspection.safetensors import Floats
from engine.introspection.statistics import rounded

MAX_SHOWN = 40
"""Most entries of a list in one answer."""


def figures(values: Floats) -> list[float | None]:
    """Return the first values as plain numbers with 6 significant digits."""
    return [rounded(float(value)) for value in values[:MAX_SHOWN]]


def norms(rows: Floats) -> Floats:
    """Return the L2 norm of each row."""
    return np.sqrt(np.square(rows, dtype=np.float64).sum(axis=-1)).astype(np.float32)


def cosine(first: Floats, second: Floats) -> float:
    """Return the cosine of the angle between two vectors; 0 if one of them has no length."""
    left, right = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
    lengths = math.sqrt(float((left * left).sum()) * float((right * right).sum()))
    return float((left * right).sum()) / lengths if lengths else 0.0


def distance(first: Floats, second: Floats) -> float:
    """Return the L2 distance of two vectors."""
    gap = first.astype(np.float64) - second.astype(np.float64)
    return math.sqrt(float(np.square(gap).sum()))


def relative_change(before: Floats, after: Floats) -> float:
    """Return the L2 distance in units of the length of `before`; 0 if that has no length."""
    length = math.sqrt(float(np.square(before, dtype=np.float64).sum()))
    return distance(before, after) / length if length else 0.0


def entropy_bits(shares: Floats) -> Floats:
    """Return the entropy of each distribution along the last axis, in bits."""
    exact = shares.astype(np.float64)
    logs = np.log2(exact, where=exact > 0, out=np.zeros_like(exact))
    return -(exact * logs).sum(axis=-1)


def largest(values: Floats, count: int) -> list[int]:
    """Return the places of the `count` largest values, largest first; ties in their order."""
    order = np.argsort(-values.astype(np.float64), kind="stable")
    return [int(place) for place in order[:count]]
